"""What searches over tokens that stream have in common: rows that finalise tokens, idle, join and leave."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor

from asr_lab.nn.decoder import Emission, Hypothesis
from asr_lab.streaming.rows import join, take

S = TypeVar("S", bound=tuple[Any, ...])


class TokenSearch(Generic[S]):
    """A search over rows that each go at their own pace: they are given frames, idle, join, leave and end alone.

    What a row has found after n frames depends on these frames alone: not on how they were cut, nor on its batch.
    `state` is a NamedTuple of tensors with the batch on axis 0; `final` holds each row's final tokens until they are
    drained.
    """

    state: S
    final: list[list[Emission]]

    def push(self, log_probs: Tensor, lengths: Tensor) -> None:
        """Go on with log-probabilities (B, T, V), of which each row's first `lengths` (B,) count; 0 = idle."""
        raise NotImplementedError

    def interim(self) -> list[list[Emission]]:
        """The interim tokens of each row: the most probable ones after its final tokens; they may still change."""
        raise NotImplementedError

    def hypotheses(self) -> list[list[Hypothesis]]:
        """The best of each row so far, best first; what was drained is no longer in them."""
        raise NotImplementedError

    def finalise(self, rows: Sequence[int]) -> None:
        """Make the most probable tokens of these rows final now; a row may go on afterwards."""
        raise NotImplementedError

    def fresh(self, batch: int) -> Self:
        """The same search over `batch` rows that have given nothing yet."""
        raise NotImplementedError

    def drain(self) -> list[list[Emission]]:
        """Each row's tokens that became final since the last time, in order; they never change."""
        drained, self.final = self.final, [[] for _ in self.final]
        return drained

    def take(self, rows: Sequence[int]) -> Self:
        """A search over copies of these rows, in this order."""
        taken = copy.copy(self)
        taken.state = take(self.state, torch.tensor(rows, dtype=torch.int64))
        taken.final = [list(self.final[r]) for r in rows]
        return taken

    def join(self, others: Sequence[Self]) -> Self:
        """A search over this one's rows, followed by those of others of the same kind."""
        joined = copy.copy(self)
        joined.state = join(self.alike([self.state, *(o.state for o in others)]))
        joined.final = [list(final) for search in (self, *others) for final in search.final]
        return joined

    def put(self, rows: Sequence[int], other: Self) -> None:
        """Replace these rows by those of another search of the same kind, in its order."""
        order = list(range(len(self.final)))
        for place, row in enumerate(rows, start=len(order)):
            order[row] = place
        replaced = self.join([other]).take(order)
        self.state, self.final = replaced.state, replaced.final

    def alike(self, states: list[S]) -> list[S]:
        """The states, padded so that their rows can stand together."""
        return states
