"""Comparing two evaluations of the same utterances."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr_lab.errors import DataError
from asr_lab.evaluation.comparison import compare
from asr_lab.evaluation.evaluation_files import evaluate, read_evaluation, write_evaluation
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.normalizer import Normalizer, Step

WORDS = ["one", "two", "three", "four", "five"]


def written(
    folder: Path, name: str, hypotheses: list[str], references: list[str], steps: tuple[Step, ...] = ("nfc",)
) -> dict[str, Any]:
    rows = [
        DecodedUtterance(f"u{i}", r, h, {"speaker": f"s{i % 12}"}, 1.0)
        for i, (r, h) in enumerate(zip(references, hypotheses, strict=True))
    ]
    return read_evaluation(write_evaluation(evaluate({"x": rows}, Normalizer(steps), 100, 0), folder, name))


def decoded(references: list[str], rate: float, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(w if draw.random() > rate else "nine" for w in r.split()) for r in references]


@pytest.fixture
def references() -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=6)) for _ in range(200)]


def test_a_clear_improvement_is_found(tmp_path: Path, references: list[str]) -> None:
    a = written(tmp_path, "a", decoded(references, 0.3, 1), references)
    b = written(tmp_path, "b", decoded(references, 0.15, 2), references)
    found = compare(a, b)
    assert found.rates["wer"].a == a["rates"]["wer"]["value"]
    assert found.rates["wer"].b == b["rates"]["wer"]["value"]
    assert found.rates["wer"].high < 0
    assert found.rates["wer"].p < 0.01
    assert found.resampled == "speaker"
    assert found.better > found.worse
    back = compare(b, a)
    assert back.rates["wer"].difference == pytest.approx(-found.rates["wer"].difference)
    assert (back.better, back.worse) == (found.worse, found.better)


def test_the_same_hypotheses_do_not_differ(tmp_path: Path, references: list[str]) -> None:
    a = written(tmp_path, "a", decoded(references, 0.3, 1), references)
    found = compare(a, a)
    assert (found.rates["wer"].difference, found.rates["wer"].low, found.rates["wer"].high, found.rates["wer"].p) == (
        0,
        0,
        0,
        1,
    )


def test_equally_good_systems_are_seldom_told_apart(tmp_path: Path, references: list[str]) -> None:
    small = []
    for trial in range(60):
        a = written(tmp_path, "a", decoded(references, 0.2, 2 * trial), references)
        b = written(tmp_path, "b", decoded(references, 0.2, 2 * trial + 1), references)
        small.append(compare(a, b, resamples=200).rates["wer"].p < 0.05)
    assert np.mean(small) < 0.15


def test_other_normalisers_are_refused(tmp_path: Path, references: list[str]) -> None:
    a = written(tmp_path, "a", references, references)
    b = written(tmp_path, "b", references, references, ("nfc", "lower"))
    with pytest.raises(DataError, match=r"normalised by nfc/\d and by nfc\+lower/"):
        compare(a, b)


def test_other_utterances_are_refused_by_name(tmp_path: Path, references: list[str]) -> None:
    a = written(tmp_path, "a", references, references)
    b = written(tmp_path, "b", references[:-2], references[:-2])
    with pytest.raises(DataError, match=r"utterances in A alone: 2 \(u198, u199"):
        compare(a, b)
    with pytest.raises(DataError, match="utterances in B alone: 2"):
        compare(b, a)


def test_other_references_are_refused_with_an_example(tmp_path: Path, references: list[str]) -> None:
    a = written(tmp_path, "a", references, references)
    b = written(tmp_path, "b", references, ["other", *references[1:]])
    with pytest.raises(DataError, match=r"references that differ: 1; that of u0 is .* in A, 'other' in B"):
        compare(a, b)


def test_evaluations_of_two_versions_of_the_normaliser_are_refused_by_name(
    tmp_path: Path, references: list[str]
) -> None:
    new = written(tmp_path, "a", references, references)
    old = {**new, "normaliser": "nfc/1"}
    with pytest.raises(
        DataError, match=r"normalised by nfc/1 and by nfc/2; score the older one anew: asrlab rescore FILE"
    ):
        compare(old, new)
