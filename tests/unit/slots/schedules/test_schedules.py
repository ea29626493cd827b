"""Every schedule is a factor between 0 and 1 without jumps."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest

from asr_lab.slots.schedules import Schedule
from asr_lab.slots.schedules.constant import Constant
from asr_lab.slots.schedules.cosine import Cosine
from asr_lab.slots.schedules.noam import Noam
from asr_lab.slots.schedules.wsd import WSD

STEPS = 3000
CHOICES: dict[str, Any] = Schedule.choices()


@pytest.mark.parametrize("tag", sorted(CHOICES))
@pytest.mark.parametrize("warmup", [30, 300])
def test_a_factor_is_within_0_and_1_and_does_not_jump(tag: str, warmup: int) -> None:
    factor = CHOICES[tag](warmup_steps=warmup).build(STEPS)
    values = [factor(k, k / STEPS) for k in range(STEPS)]
    assert all(0 <= v <= 1 for v in values)
    assert max(values) == pytest.approx(1.0, abs=0.03)
    assert values[0] > 0
    # A square root falls steepest at its beginning: sqrt(1/600) = 0.04.
    jumps = [abs(b - a) for a, b in pairwise(values)]
    assert max(jumps) < 0.05
    rises = [b - a for a, b in pairwise(values[:warmup])]
    assert all(0 < r <= 1.01 / warmup for r in rises)


@pytest.mark.parametrize("tag", sorted(CHOICES))
def test_a_factor_never_rises_after_the_warm_up(tag: str) -> None:
    factor = CHOICES[tag](warmup_steps=100).build(STEPS)
    values = [factor(k, k / STEPS) for k in range(100, STEPS)]
    assert all(b <= a for a, b in pairwise(values))


@pytest.mark.parametrize("tag", sorted(CHOICES))
def test_a_schedule_that_does_not_need_the_total_ignores_it(tag: str) -> None:
    schedule = CHOICES[tag]()
    factor = schedule.build(STEPS)
    same = all(factor(k, 0.0) == factor(k, 1.0) for k in (0, 10, 1000, 100_000))
    assert same is not schedule.needs_total


def test_the_ends_are_what_is_written() -> None:
    late = 10**9  # long after the warm-up
    assert Cosine(floor=0.05).build(STEPS)(late, 1.0) == pytest.approx(0.05)
    assert Cosine().build(STEPS)(late, 0.5) == pytest.approx(0.01 + 0.99 / 2)
    for shape in ("linear", "sqrt", "cosine"):
        wsd = WSD(shape=shape, decay_share=0.25, floor=0.1).build(STEPS)
        assert wsd(late, 0.75) == 1.0
        assert wsd(late, 1.0) == pytest.approx(0.1)
    assert WSD(shape="linear", decay_share=0.5).build(STEPS)(late, 0.75) == pytest.approx(0.5)
    assert Constant(warmup_steps=0).build(STEPS)(0, 0.0) == 1.0


@pytest.mark.parametrize("tag", sorted(CHOICES))
@pytest.mark.parametrize(("share", "num_steps", "count"), [(0.05, 1400, 70), (0.5, 1001, 500), (0.05, 9, 0)])
def test_a_share_of_the_run_is_that_many_steps(tag: str, share: float, num_steps: int, count: int) -> None:
    by_share, by_steps = CHOICES[tag](warmup=share), CHOICES[tag](warmup_steps=count)
    assert by_share.num_warmup_steps(num_steps) == count
    one, other = by_share.build(num_steps), by_steps.build(None)
    assert [one(k, k / num_steps) for k in range(num_steps)] == [other(k, k / num_steps) for k in range(num_steps)]


@pytest.mark.parametrize("tag", sorted(CHOICES))
def test_a_twentieth_of_the_run_warms_up_unless_steps_are_given(tag: str) -> None:
    assert (CHOICES[tag]().warmup, CHOICES[tag]().warmup_steps) == (0.05, None)
    assert CHOICES[tag](warmup_steps=7).warmup is None
    assert CHOICES[tag](warmup_steps=7).num_warmup_steps(None) == 7
    assert CHOICES[tag](warmup=None).num_warmup_steps(None) == 0


@pytest.mark.parametrize("tag", sorted(CHOICES))
def test_a_share_of_a_run_of_unknown_length_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="give warmup_steps"):
        CHOICES[tag]().build(None)


def test_noam_is_the_papers_curve() -> None:
    dim, warmup, scale = 256, 4000, 5.0
    factor = Noam(warmup_steps=warmup).build(STEPS)
    peak = scale / math.sqrt(dim * warmup)
    for step in (1, 100, 4000, 4001, 50_000):
        paper = scale * dim**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert peak * factor(step - 1, 0.0) == pytest.approx(paper)


def test_schedules_and_optimizers_load_without_torch() -> None:
    code = (
        "from asr_lab.slots.schedules import Schedule; from asr_lab.slots.optimizers import Optimizer; "
        "Schedule.choices(); Optimizer.choices(); import sys; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
