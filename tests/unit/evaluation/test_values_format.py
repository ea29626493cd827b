"""An evaluation's format is a promise: what this version writes, versions of the same number read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_lab.errors import DataError
from asr_lab.evaluation.hypotheses import Transcript
from asr_lab.evaluation.results import evaluate, read_evaluation, write_evaluation
from asr_lab.text.steps import Normalizer


def test_an_evaluation_is_of_format_1_and_another_is_not_read(tmp_path: Path) -> None:
    evaluation = evaluate({"a": [Transcript("u", "x y", "x")]}, Normalizer(()), bootstrap=10, seed=0)
    path = write_evaluation(evaluation, tmp_path, "best")
    content = json.loads(path.read_text())
    assert content["format"] == 1
    assert read_evaluation(path)["wer"]["value"] == 0.5
    for other in (0, 2, "1", None):
        path.write_text(json.dumps({**content, "format": other}))
        with pytest.raises(DataError, match=f"has format {other}, this version reads 1; evaluate again"):
            read_evaluation(path)
