"""The gated norm against its formula, number by number."""

from __future__ import annotations

import math

import pytest
import torch

from asr_lab.nn.norm import GatedRMSNorm


@pytest.mark.parametrize("scale", [1.0, 1e-3], ids=["loud", "so quiet that epsilon counts"])
def test_the_gate_comes_before_the_root_mean_square_and_the_weight_behind(scale: float) -> None:
    torch.manual_seed(0)
    norm = GatedRMSNorm(4).double()
    norm.weight.data = torch.tensor([1.0, -2.0, 0.5, 3.0]).double()
    y, z = scale * torch.randn(3, 4).double(), torch.randn(3, 4).double()
    for found, values, gates in zip(norm(y, z).tolist(), y.tolist(), z.tolist(), strict=True):
        gated = [v * g / (1 + math.exp(-g)) for v, g in zip(values, gates, strict=True)]
        root = math.sqrt(sum(g * g for g in gated) / 4 + 1e-5)
        assert found == pytest.approx([w * g / root for w, g in zip(norm.weight.tolist(), gated, strict=True)])


def test_a_fresh_norm_weighs_all_alike_and_computes_in_the_type_of_what_it_norms() -> None:
    norm = GatedRMSNorm(8)
    assert norm.weight.tolist() == [1.0] * 8
    assert norm.eps == 1e-5
    assert GatedRMSNorm(2, eps=1e-3).eps == 1e-3
    y, z = torch.randn(2, 8), torch.randn(2, 8, dtype=torch.bfloat16)
    assert norm(y, z).dtype == torch.float32
    torch.testing.assert_close(norm(y, z), norm(y, z.float()))
