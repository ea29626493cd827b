"""Distances of two trainings, and the verdict on an error rate's difference."""

from __future__ import annotations

from typing import Any

import pytest

from asr_lab.errors import DataError
from asr_lab.evaluation.comparison import Difference
from asr_lab.evaluation.precision_ab import loss_gap, verdict


def training(losses: list[float], norm: float = 1.0) -> list[dict[str, Any]]:
    return [{"step": n, "loss": loss, "grad_norm": norm} for n, loss in enumerate(losses, start=1)]


def test_the_gap_is_of_the_last_tenth_and_the_largest_of_running_means() -> None:
    reference = training([1.0] * 100)
    other = training([1.0] * 40 + [2.0] * 25 + [1.0] * 25 + [1.5] * 10, norm=2.0)
    found = loss_gap(other, reference)
    assert found.last == pytest.approx(0.5)
    assert found.last_relative == pytest.approx(0.5)
    assert (found.largest, found.largest_step) == (pytest.approx(1.0), 65)
    assert found.grad_norm_ratio == 2.0


def test_skipped_steps_are_counted_and_not_compared() -> None:
    other = training([1.0, float("nan"), 1.0])
    other[1] |= {"skipped": True}
    found = loss_gap(other, training([1.0, 1.0, 1.0]))
    assert (found.skipped, found.last) == (1, 0.0)


def test_trainings_without_a_common_step_are_refused() -> None:
    with pytest.raises(DataError, match="no step"):
        loss_gap(training([1.0])[:0], training([1.0]))


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (-0.01, 0.009, "non-inferior"),
        (0.002, 0.02, "undecided"),
        (0.011, 0.02, "inferior"),
        (-0.03, -0.02, "non-inferior"),
    ],
)
def test_the_verdict_goes_by_the_interval_against_the_margin(low: float, high: float, says: str) -> None:
    middle = (low + high) / 2
    assert verdict(Difference(0.1, 0.1 + middle, middle, low, high, 0.5), 0.01) == says
