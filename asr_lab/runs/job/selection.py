"""Which weights a run ends with: the best by validation, and when to stop looking for better ones."""

from __future__ import annotations

import math
from typing import Any

import attrs

from asr_lab.training.rank import Rank


@attrs.define
class Selection:
    """The validations so far. It is saved in every checkpoint, so that a resumed run selects alike."""

    metric: str = "wer"
    """`wer` or `cer`."""
    patience: int | None = None
    """Validations in a row without a better one that end training; None = any number."""
    best: float | None = None
    """The lowest error rate, as a fraction."""
    ties: list[float | None] = attrs.field(factory=list)
    """The character error rate and the loss that it came with, which decide between equals."""
    best_step: int | None = None
    """The step it was reached at."""
    num_worse: int = 0
    """Validations since then."""
    step: int = 0
    """Of the last validation."""

    def take(self, step: int, rank: Rank) -> bool:
        """Take in a validation at a step; whether it is the best so far.

        The later of equals is, though patience counts it as one without a better.
        """
        self.step = step
        before = None if self.best is None else Rank.of(self.best, self.ties)
        rank = rank._replace(cer=_known(rank.cer), loss=_known(rank.loss))
        is_best = not math.isnan(rank.value) and (before is None or rank <= before)
        self.num_worse = 0 if is_best and rank != before else self.num_worse + 1
        if is_best:
            self.best, self.best_step, self.ties = rank.value, step, rank.ties()
        return is_best

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.num_worse >= self.patience

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "best": self.best,
            "best_step": self.best_step,
            "ties": self.ties,
            "num_worse": self.num_worse,
            "step": self.step,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.best, self.best_step = state["best"], state["best_step"]
        self.num_worse, self.step = state["num_worse"], state["step"]
        self.ties = state.get("ties", [])


def _known(value: float) -> float:
    return math.inf if math.isnan(value) else value
