"""Linear warm-up, then down with the square root of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from asr_lab.config.section import section
from asr_lab.slots.schedules import Schedule


@section
class Noam(Schedule):
    """Up linearly, then with the inverse square root of the step (arXiv 1706.03762), scaled to 1 at its highest.

    It doesn't know where the run ends. A Noam rate of `k` at model dimension `d` elsewhere is a `peak_lr` of
    `k / sqrt(d * warmup_steps)` here.
    """

    @property
    def inexact_because(self) -> str | None:
        return None

    def build(self, num_steps: int | None) -> Callable[[int, float], float]:
        warmup = max(1, self.num_warmup_steps(num_steps))

        def factor(step: int, share: float) -> float:
            return min((step + 1) / warmup, math.sqrt(warmup / (step + 1)))

        return factor
