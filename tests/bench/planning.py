"""How long a million cuts take to plan, and how much memory."""

from __future__ import annotations

import time

import attrs
import numpy as np
from environment import resident_mb

from asr_lab.audio.keyed_random import mix
from asr_lab.data.plan import plan_epoch


@attrs.frozen
class PlanFigures:
    """What the plan of an epoch costs."""

    cuts: int
    steps: int
    seconds: float
    peak_mb: float
    """Memory at most, beyond what the cuts' durations and keys take."""


def bench_plan(cuts: int = 1_000_000) -> PlanFigures:
    """The plan of made-up cuts of 0.5 to 20 s, most of them short."""
    durations_s = np.random.default_rng(0).lognormal(1.5, 0.8, cuts).clip(0.5, 20)
    keys = mix(np.arange(cuts, dtype=np.uint64), 0)
    before_mb = resident_mb()
    start = time.perf_counter()
    plan = plan_epoch(durations_s, keys, batch_s=1200, max_rank_batch_s=300)
    seconds = time.perf_counter() - start
    return PlanFigures(cuts, plan.num_steps, seconds, resident_mb(peak=True) - before_mb)
