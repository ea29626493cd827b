"""Selection: the best validation, and when patience runs out."""

from __future__ import annotations

import json
import math

import pytest

from asr_lab.runs.job.selection import Selection
from asr_lab.training.rank import Rank


def test_the_lowest_error_is_the_best_and_the_last_among_equals() -> None:
    selection = Selection()
    ranks = [(10, 0.5), (20, 0.4), (30, 0.4), (40, 0.6)]
    assert [selection.take(s, Rank(v)) for s, v in ranks] == [True, True, True, False]
    assert (selection.best, selection.best_step, selection.step) == (0.4, 30, 40)


@pytest.mark.parametrize(
    ("first", "second", "is_better"),
    [
        ((1.0, 0.9, 5.0), (1.0, 0.8, 6.0), True),
        ((1.0, 0.9, 5.0), (1.0, 0.91, 4.0), False),
        ((1.0, 1.0, 5.0), (1.0, 1.0, 4.9), True),
        ((1.0, 1.0, 5.0), (1.0, 1.0, 5.1), False),
        ((0.9, 0.9, 9.0), (1.0, 0.1, 0.1), False),
        ((1.0, 1.0, math.inf), (1.0, 1.0, 5.0), True),
        ((1.0, 1.0, 5.0), (1.0, 1.0, math.nan), False),
    ],
)
def test_the_metric_decides_then_characters_then_the_loss(
    first: tuple[float, ...], second: tuple[float, ...], is_better: bool
) -> None:
    selection = Selection(patience=1)
    selection.take(1, Rank(*first))
    assert selection.take(2, Rank(*second)) is is_better
    assert selection.is_over is not is_better


def test_among_equals_the_last_is_kept_and_patience_counts_them() -> None:
    selection = Selection(patience=3)
    found = [(selection.take(step, Rank(1.0, 1.0, 7.0)), selection.is_over) for step in range(1, 5)]
    assert found == [(True, False), (True, False), (True, False), (True, True)]
    assert selection.best_step == 4


def test_patience_counts_validations_in_a_row() -> None:
    selection = Selection(patience=2)
    for step, value, over in [(1, 0.5, False), (2, 0.6, False), (3, 0.4, False), (4, 0.4, False), (5, 0.9, True)]:
        selection.take(step, Rank(value))
        assert selection.is_over is over


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    selection = Selection()
    assert not selection.take(1, Rank(math.nan))
    assert selection.take(2, Rank(3.0))


def test_a_restored_selection_goes_on_alike() -> None:
    first, second = Selection(patience=3), Selection(patience=3)
    for step, value in [(1, 0.5), (2, 0.6), (3, 0.55)]:
        first.take(step, Rank(value, 0.5, 2.0))
    second.restore(json.loads(json.dumps(first.state())))
    assert second == first
    assert first.take(4, Rank(0.55)) is second.take(4, Rank(0.55)) is False
    assert first.is_over
    assert second.is_over
