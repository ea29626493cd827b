"""Selection: the best validation, and when patience runs out."""

from __future__ import annotations

import json
import math

from asr_lab.runs.job.selection import Selection


def test_the_lowest_error_is_the_best_and_the_first_among_equals() -> None:
    selection = Selection()
    assert [selection.take(s, v) for s, v in [(10, 0.5), (20, 0.4), (30, 0.4), (40, 0.6)]] == [True, True, False, False]
    assert (selection.best, selection.best_step, selection.step) == (0.4, 20, 40)


def test_patience_counts_validations_in_a_row() -> None:
    selection = Selection(patience=2)
    for step, value, over in [(1, 0.5, False), (2, 0.6, False), (3, 0.4, False), (4, 0.4, False), (5, 0.9, True)]:
        selection.take(step, value)
        assert selection.is_over is over


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    selection = Selection()
    assert not selection.take(1, math.nan)
    assert selection.take(2, 3.0)


def test_a_restored_selection_goes_on_alike() -> None:
    first, second = Selection(patience=3), Selection(patience=3)
    for step, value in [(1, 0.5), (2, 0.6), (3, 0.55)]:
        first.take(step, value)
    second.restore(json.loads(json.dumps(first.state())))
    assert second == first
    assert first.take(4, 0.5) is second.take(4, 0.5) is False
    assert first.is_over
    assert second.is_over
