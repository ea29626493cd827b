"""The mean of confidences is geometric, and a token that is impossible makes its word impossible."""

from __future__ import annotations

import pytest

from asr_lab.nn.confidence import mean_confidence


def test_the_mean_is_geometric() -> None:
    assert mean_confidence([0.5]) == pytest.approx(0.5)
    assert mean_confidence([0.9, 0.1]) == pytest.approx(0.3)
    assert mean_confidence(iter([1.0, 1.0])) == 1.0


def test_weights_count_a_confidence_as_often() -> None:
    assert mean_confidence([0.8, 0.2], [3, 1]) == pytest.approx(mean_confidence([0.8, 0.8, 0.8, 0.2]))


@pytest.mark.parametrize("confidences", [[0.0], [0.9, 0.0], [0.0, 0.0]])
def test_a_confidence_of_0_makes_the_mean_0(confidences: list[float]) -> None:
    assert mean_confidence(confidences) == 0.0
    assert mean_confidence(confidences, [2.0] * len(confidences)) == 0.0
