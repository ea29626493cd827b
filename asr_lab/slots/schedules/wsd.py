"""Linear warm-up, a plateau, and a decay at the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.schedules import Schedule


@section
class WSD(Schedule):
    """Warm-up, stable, decay (arXiv 2404.06395, 2405.18392): a longer run shares all but the end with a shorter one."""

    decay_share: float = attrs.field(default=0.2, validator=v.all_of(v.gt(0), v.le(1)))
    """Share of the run that the decay takes, at its end."""
    shape: Literal["linear", "sqrt", "cosine"] = "sqrt"
    """How it decays; `sqrt` is 1 - sqrt(x), steep first."""
    floor: float = attrs.field(default=0.0, validator=v.all_of(v.ge(0), v.le(1)))
    """The factor at the end."""

    @property
    def needs_total(self) -> bool:
        return True

    @property
    def inexact_because(self) -> str | None:
        return (
            "a cosine has its last bit from the C library; shape = 'sqrt' has not" if self.shape == "cosine" else None
        )

    def build(self, num_steps: int | None) -> Callable[[int, float], float]:
        warmup = self.num_warmup_steps(num_steps)

        def factor(step: int, share: float) -> float:
            warm = min(1.0, (step + 1) / (warmup + 1))
            x = min(1.0, max(0.0, share - (1 - self.decay_share)) / self.decay_share)
            left = {"linear": 1 - x, "sqrt": 1 - math.sqrt(x), "cosine": 0.5 * (1 + math.cos(math.pi * x))}[self.shape]
            return warm * (self.floor + (1 - self.floor) * left)

        return factor
