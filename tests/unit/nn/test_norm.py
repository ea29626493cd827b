"""The gated norm against its definition, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from asr_lab.nn.norm import GatedRMSNorm


@pytest.mark.parametrize("shape", [(3, 8), (2, 5, 8)], ids=str)
def test_it_is_the_root_mean_square_norm_of_the_gated_values(shape: tuple[int, ...]) -> None:
    norm = GatedRMSNorm(8).double()
    norm.weight.data += torch.randn(8)
    y, z = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    found = norm(y, z)
    expected = F.rms_norm(y * F.silu(z), (8,), norm.weight, norm.eps)
    torch.testing.assert_close(found, expected)
    grad, leaves = torch.randn_like(found), [y, z, norm.weight]
    for ours, theirs in zip(
        torch.autograd.grad(found, leaves, grad), torch.autograd.grad(expected, leaves, grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_frame_of_zeros_gives_zeros_and_finite_gradients() -> None:
    norm = GatedRMSNorm(8)
    y = torch.zeros(1, 8, requires_grad=True)
    out = norm(y, torch.ones(1, 8))
    assert torch.equal(out, torch.zeros(1, 8))
    assert torch.autograd.grad(out.sum(), y)[0].isfinite().all()
