"""Linear warm-up, then no change."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.schedules import Schedule


@section
class Constant(Schedule):
    """Up linearly, then as it is."""

    warmup_steps: int = attrs.field(default=0, validator=v.between(0, 1_000_000_000))
    """Steps of linear warm-up."""

    def build(self) -> Callable[[int, float], float]:
        warmup = self.warmup_steps

        def factor(step: int, share: float) -> float:
            return min(1.0, (step + 1) / (warmup + 1))

        return factor
