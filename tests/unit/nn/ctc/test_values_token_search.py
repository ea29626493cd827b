"""Rows of a search: taken, put and joined with what they have final; and what every search has to say for itself."""

from __future__ import annotations

from typing import NamedTuple, Self

import pytest
import torch
from torch import Tensor

from asr_lab.nn.ctc.token_search import TokenSearch
from asr_lab.nn.decoder import Emission


class Count(NamedTuple):
    number: Tensor  # (B,)


class Counting(TokenSearch[Count]):
    """Settles the number of each frame that is pushed."""

    def __init__(self, numbers: list[int]) -> None:
        self.state = Count(torch.tensor(numbers))
        self.final = [[Emission(n, n, 1.0)] for n in numbers]

    def fresh(self, batch: int) -> Self:
        return type(self)([0] * batch)


def numbers(search: TokenSearch[Count]) -> list[int]:
    """Which rows these are; state and final tokens must agree."""
    found = search.state.number.tolist()
    assert [row[0].token for row in search.final] == found
    return [int(n) for n in found]


def test_rows_are_taken_joined_and_put_with_all_that_is_theirs() -> None:
    search = Counting([5, 6, 7])
    taken = search.take([2, 0, 2])
    assert numbers(taken) == [7, 5, 7]
    assert numbers(search.take([])) == []
    assert numbers(search.join([Counting([8]), Counting([9, 10])])) == [5, 6, 7, 8, 9, 10]
    search.put([2, 0], Counting([20, 30]))
    assert numbers(search) == [30, 6, 20]
    taken.final[0].append(Emission(1, 1, 1.0))
    assert len(search.final[2]) == len(taken.final[2]) == 1  # copies, each its own


def test_what_is_drained_is_gone_and_the_rows_stay() -> None:
    search = Counting([3, 4])
    assert [[e.token for e in row] for row in search.drain()] == [[3], [4]]
    assert search.drain() == [[], []]


def test_a_search_says_what_it_does_not_do() -> None:
    search: TokenSearch[Count] = TokenSearch()
    for call in (
        lambda: search.push(torch.zeros(1, 1, 1), torch.tensor([1])),
        search.interim,
        search.hypotheses,
        lambda: search.finalise([0]),
        lambda: search.fresh(1),
    ):
        with pytest.raises(NotImplementedError):
            call()
