"""Which weights a run ends with: the best by validation, and when to stop looking for better ones."""

from __future__ import annotations

import math
from typing import Any

import attrs


@attrs.define
class Selection:
    """The validations so far. It is saved in every checkpoint, so that a resumed run selects alike."""

    metric: str = "wer"
    """`wer` or `cer`."""
    patience: int | None = None
    """Validations in a row without a better one that end training; None = any number."""
    best: float | None = None
    """The lowest error rate, as a fraction."""
    best_step: int | None = None
    """The step it was reached at."""
    num_worse: int = 0
    """Validations since then."""
    step: int = 0
    """Of the last validation."""

    def take(self, step: int, value: float) -> bool:
        """Take in a validation at a step; whether it is the best so far. Among equals the first stays."""
        self.step = step
        if not math.isnan(value) and (self.best is None or value < self.best):
            self.best, self.best_step, self.num_worse = value, step, 0
            return True
        self.num_worse += 1
        return False

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.num_worse >= self.patience

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best": self.best, "best_step": self.best_step, "num_worse": self.num_worse, "step": self.step}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.best, self.best_step = state["best"], state["best_step"]
        self.num_worse, self.step = state["num_worse"], state["step"]
