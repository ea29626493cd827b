"""Slot `[schedule]`: the learning rate over the run."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import Slot, added, section

WARMUP = 0.05
"""Share of a run that warms up where the recipe says nothing."""


def _default_warmup(schedule: Schedule) -> float | None:
    return WARMUP if schedule.warmup_steps is None else None


@section
class Schedule(Slot):
    """The factor on the peak learning rate: up linearly, then as the choice says."""

    warmup_steps: int | None = attrs.field(default=None, validator=v.optional(v.between(0, 1_000_000_000)))
    """Steps of linear warm-up, in the place of `warmup`."""
    warmup: float | None = added(
        default=attrs.Factory(_default_warmup, takes_self=True),
        absent=None,
        validator=v.optional(v.ge(0), v.lt(1)),
    )
    """Linear warm-up as a share of the run's steps; none where `warmup_steps` is given."""

    @property
    def needs_total(self) -> bool:
        """Whether the factor after the warm-up depends on how long the run will be."""
        return False

    @property
    def inexact_because(self) -> str | None:
        """Why its factors may differ between machines in their last bit; None for sums, products and roots."""
        return "nothing says that its factors are the same on every machine"

    def num_warmup_steps(self, num_steps: int | None) -> int:
        """Steps of warm-up in a run of so many steps.

        ValueError where they are a share of a run whose steps are not known (None): the clock alone ends it.
        """
        if self.warmup_steps is not None:
            return self.warmup_steps
        if not self.warmup:
            return 0
        if num_steps is None:
            raise ValueError("a share of a run that the clock ends is not known beforehand: give warmup_steps")
        return round(self.warmup * num_steps)

    def build(self, num_steps: int | None) -> Callable[[int, float], float]:
        """The factor in 0..1 from (step, 0-based; share of the run done, 0..1): a pure function.

        `num_steps` is the run's length, None where only the clock ends it.
        """
        raise NotImplementedError
