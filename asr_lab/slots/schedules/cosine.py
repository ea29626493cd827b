"""Linear warm-up, then half a cosine down."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.schedules import Schedule


@section
class Cosine(Schedule):
    """Up linearly, then down along half a cosine to a floor (SGDR without restarts, arXiv 1608.03983)."""

    floor: float = attrs.field(default=0.01, validator=v.all_of(v.ge(0), v.le(1)))
    """The factor at the end."""

    @property
    def needs_total(self) -> bool:
        return True

    @property
    def inexact_because(self) -> str | None:
        return "a cosine has its last bit from the C library; wsd, noam and constant have not"

    def build(self, num_steps: int | None) -> Callable[[int, float], float]:
        warmup = self.num_warmup_steps(num_steps)

        def factor(step: int, share: float) -> float:
            warm = min(1.0, (step + 1) / (warmup + 1))
            return warm * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))

        return factor
