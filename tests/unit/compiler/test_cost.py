"""What a count on real zeros holds: no operation that gives too much is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from asr_lab.compiler.cost import MAX_VALUES, TooDear, macs

SIDE = 1 << 13
assert SIDE * SIDE > MAX_VALUES


@pytest.mark.parametrize(
    "dear",
    [
        lambda: torch.zeros(SIDE, 1) @ torch.zeros(1, SIDE),
        lambda: torch.zeros(SIDE, 1) * torch.zeros(1, SIDE),
        lambda: torch.zeros(()).expand(SIDE, SIDE).exp(),
        lambda: torch.cat([torch.zeros(()).expand(SIDE, SIDE // 2)] * 2),
        lambda: torch.where(torch.zeros(SIDE, 1) > 0, torch.zeros(1, SIDE), 0.0),
    ],
    ids=["product", "outer product", "of each value", "joined", "chosen"],
)
def test_what_gives_too_many_values_is_not_done_where_there_is_a_limit(dear: Callable[[], Any]) -> None:
    with pytest.raises(TooDear):
        macs(dear, limit=1 << 40)


def test_multiply_adds_are_counted_up_to_the_limit() -> None:
    def product() -> torch.Tensor:
        return torch.zeros(3, 5) @ torch.zeros(5, 7)

    assert macs(product)[0] == 105
    assert macs(product, limit=105)[0] == 105
    with pytest.raises(TooDear):
        macs(lambda: (product(), product()), limit=150)
