"""The ordered norm: its value, and that neither a cut of the rows nor a zero's sign shows."""

from __future__ import annotations

import math

import torch

from asr_lab.training.ordered_norm import ordered_norm, row_sums


def test_its_value_is_the_root_of_the_sum_of_squares() -> None:
    some = [torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([12.0]), torch.tensor(84.0)]
    assert float(ordered_norm([row_sums(x) for x in some])) == 85.0
    assert float(ordered_norm([])) == 0.0
    assert math.isnan(float(ordered_norm([torch.tensor([math.nan])])))


def test_a_tensor_cut_into_rows_gives_the_same_bits() -> None:
    x = torch.randn(37, 113, generator=torch.Generator().manual_seed(0)) * 1e3
    whole = ordered_norm([row_sums(x)])
    for cut in (1, 5, 30):
        assert torch.equal(whole, ordered_norm([torch.cat([row_sums(x[:cut]), row_sums(x[cut:])])]))
