"""Slot `[schedule]`: the learning rate over the run."""

from __future__ import annotations

from collections.abc import Callable

from asr_lab.config.section import Slot


class Schedule(Slot):
    """The factor on the peak learning rate."""

    @property
    def needs_total(self) -> bool:
        """Whether the factor depends on how long the run will be."""
        return False

    def build(self) -> Callable[[int, float], float]:
        """The factor in 0..1 from (step, 0-based; share of the run done, 0..1): a pure function."""
        raise NotImplementedError
