"""Rows of a state, whatever the state is made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from asr_lab.streaming.rows import join, leaves, num_bytes, put, take


class Inner(NamedTuple):
    past: Tensor  # (B, 2)
    seen: Tensor  # (B,) int64


class Outer(NamedTuple):
    first: Inner
    nothing: tuple[()]
    flags: Tensor  # (B,) bool


def state(*rows: int) -> tuple[Outer, tuple[()]]:
    """One whose every row holds its own number."""
    number = torch.tensor(rows)
    return Outer(Inner(number[:, None].double().expand(-1, 2), number), (), number % 2 == 1), ()


def numbers(found: tuple[Outer, tuple[()]]) -> list[int]:
    """Which rows these are; all tensors must agree."""
    outer, rest = found
    assert isinstance(outer, Outer)
    assert isinstance(outer.first, Inner)
    assert (outer.nothing, rest) == ((), ())
    rows = outer.first.seen.tolist()
    assert outer.first.past.tolist() == [[float(n)] * 2 for n in rows]
    assert outer.flags.tolist() == [n % 2 == 1 for n in rows]
    return [int(n) for n in rows]


def test_rows_are_taken_in_any_order_and_any_number() -> None:
    assert numbers(take(state(3, 4, 5, 6), torch.tensor([2, 0, 2]))) == [5, 3, 5]
    assert numbers(take(state(3, 4), torch.zeros(0, dtype=torch.int64))) == []


def test_joined_rows_follow_one_another() -> None:
    assert numbers(join([state(1, 2), state(), state(9)])) == [1, 2, 9]


def test_put_overwrites_the_named_rows_and_no_others() -> None:
    table = take(state(0, 1, 2, 3), torch.arange(4))
    put(table, torch.tensor([3, 1]), state(8, 9))
    assert numbers(table) == [0, 9, 2, 8]


def test_what_is_taken_does_not_change_with_its_source() -> None:
    table = take(state(0, 1), torch.arange(2))
    taken = take(table, torch.arange(2))
    put(table, torch.tensor([0]), state(7))
    assert numbers(taken) == [0, 1]


def test_bytes_are_those_of_the_values() -> None:
    assert num_bytes(state(1, 2, 3)) == 3 * (2 * 8 + 8 + 1)
    assert num_bytes(()) == 0


@pytest.mark.parametrize("bad", [[torch.zeros(2)], {"past": torch.zeros(2)}, None])
def test_a_state_of_anything_but_tuples_of_tensors_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="NamedTuple of tensors"):
        take((bad,), torch.tensor([0]))
    with pytest.raises(TypeError, match="NamedTuple of tensors"):
        list(leaves((bad,)))
