"""Linear warm-up, then no change."""

from __future__ import annotations

from collections.abc import Callable

from asr_lab.config.section import section
from asr_lab.slots.schedules import Schedule


@section
class Constant(Schedule):
    """Up linearly, then as it is."""

    @property
    def inexact_because(self) -> str | None:
        return None

    def build(self, num_steps: int | None) -> Callable[[int, float], float]:
        warmup = self.num_warmup_steps(num_steps)

        def factor(step: int, share: float) -> float:
            return min(1.0, (step + 1) / (warmup + 1))

        return factor
