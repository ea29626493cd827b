"""Linear warm-up, then down with the square root of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.schedules import Schedule


@section
class Noam(Schedule):
    """Up linearly, then with the inverse square root of the step (arXiv 1706.03762), scaled to 1 at its highest.

    It doesn't know where the run ends. A Noam rate of `k` at model dimension `d` elsewhere is a `peak_lr` of
    `k / sqrt(d * warmup_steps)` here.
    """

    warmup_steps: int = attrs.field(default=10_000, validator=v.between(1, 1_000_000_000))
    """Steps of linear warm-up."""

    def build(self) -> Callable[[int, float], float]:
        warmup = self.warmup_steps

        def factor(step: int, share: float) -> float:
            return min((step + 1) / warmup, math.sqrt(warmup / (step + 1)))

        return factor
