"""Evaluations on disk, on the screen and on the page."""

from __future__ import annotations

import io
import json
import math
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from asr_lab.data.utterance import BadCut
from asr_lab.errors import DataError
from asr_lab.evaluation.curve import MAX_POINTS, Series, draw_curve, nice_ticks
from asr_lab.evaluation.evaluation_files import Evaluation, evaluate, evaluation_json, read_evaluation, write_evaluation
from asr_lab.evaluation.hypotheses import read_hypotheses
from asr_lab.evaluation.page import training_curves, write_report
from asr_lab.evaluation.report import print_evaluation
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.normalizer import Normalizer

COUNT = {"type": "integer", "minimum": 0}
RATE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["value", "low", "high", "substitutions", "deletions", "insertions", "reference"],
    "properties": {
        **{key: {"type": "number", "minimum": 0} for key in ("value", "low", "high")},
        **dict.fromkeys(("substitutions", "deletions", "insertions", "reference"), COUNT),
    },
}
SHAPE = {
    "type": "object",
    "required": ["wer", "cer", "normaliser", "utterances", "hypotheses", "sets", "interval", "hash", "skipped"],
    "properties": {
        "wer": RATE,
        "cer": RATE,
        "normaliser": {"type": "string"},
        "utterances": COUNT,
        "hypotheses": {"type": "string"},
        "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "sets": {"type": "array", "minItems": 1, "items": {"required": ["name", "wer", "cer", "tables"]}},
    },
}


def evaluation(**more: list[DecodedUtterance]) -> Evaluation:
    digits = [
        DecodedUtterance("a", "One, two!", "one two", {"speaker": "ann"}, 1.0, "a.wav"),
        DecodedUtterance("b", "three four", "three", {"speaker": "ben"}, 2.5, "b.wav"),
        DecodedUtterance("c", "five [six]", "five sex ten", {"speaker": "ann"}, 0.5, "c.wav"),
    ]
    bad = [("digits", BadCut("d", "d.wav", "no such file"))]
    steps = Normalizer(("nfc", "lower", "strip_punctuation"))
    return evaluate({"digits": digits, **more}, steps, 100, 0, bad, {"run": "x", "decode": {"beam": 1}})


def test_the_json_has_the_documented_shape(tmp_path: Path) -> None:
    path = write_evaluation(evaluation(), tmp_path, "test")
    content = json.loads(path.read_text())
    jsonschema.validate(content, SHAPE)
    assert content["wer"]["value"] == pytest.approx(3 / 6)
    assert content["hypotheses"] == "test.jsonl"
    assert content["skipped"] == [{"set": "digits", "id": "d", "audio": "d.wav", "reason": "no such file"}]
    assert [row["label"] for row in content["tables"]["speaker"]] == ["ann", "ben"]
    assert content["about"]["decode"] == {"beam": 1}


def test_hypotheses_carry_texts_and_counts(tmp_path: Path) -> None:
    content = read_evaluation(write_evaluation(evaluation(), tmp_path, "test"))
    rows = read_hypotheses(Path(content["hypotheses"]))
    assert [r["id"] for r in rows] == ["a", "b", "c"]
    assert rows[0]["reference"] == "One, two!"
    assert rows[0]["normalised"] == {"reference": "one two", "hypothesis": "one two"}
    assert rows[2]["words"] == {"substitutions": 1, "deletions": 0, "insertions": 1, "reference": 2}
    assert (rows[1]["speaker"], rows[1]["duration_s"], rows[1]["audio"]) == ("ben", 2.5, "b.wav")
    assert sum(r["words"]["deletions"] for r in rows) == content["wer"]["deletions"]


def test_several_sets_are_scored_apart_and_together() -> None:
    found = evaluation_json(evaluation(other=[DecodedUtterance("a", "seven", "seven", {}, 1.0)]), "x.jsonl")
    assert [one["name"] for one in found["sets"]] == ["digits", "other"]
    assert found["wer"]["reference"] == sum(one["wer"]["reference"] for one in found["sets"]) == 7
    assert found["utterances"] == 4


def test_nothing_to_score_says_what_was_wrong() -> None:
    with pytest.raises(DataError, match="no utterance to score: d: no such file"):
        evaluate({"x": []}, Normalizer(()), 100, 0, [("x", BadCut("d", "d.wav", "no such file"))])


@pytest.mark.parametrize(
    "text", ["", "[]", '{"wer": 1}', '{"format": 0, "wer": 1, "cer": 1, "normaliser": "", "hypotheses": ""}']
)
def test_what_is_not_an_evaluation_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"x\.json"):
        read_evaluation(path)


def test_a_damaged_line_of_hypotheses_is_named(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    path.write_text('{"id": "a", "reference": "", "hypothesis": ""}\n{"id": "b"}\n')
    with pytest.raises(DataError, match=r"h\.jsonl:2: a hypothesis needs hypothesis, reference"):
        read_hypotheses(path)


def test_the_tables_say_what_the_numbers_mean() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    print_evaluation(console, evaluation(), worst=1)
    text = console.export_text()
    for part in ("50.00 %", "words (WER)", "characters (CER)", "wrong", "missing", "extra", "resamples", "by speaker"):
        assert part in text
    assert "not in the score: 1 of 4" in text
    assert "no such file" in text
    assert "said:  five *** six" in text
    assert "heard: five sex ten" in text
    assert "nfc+lower+strip_punctuation/" in text


def run_folder(path: Path) -> Path:
    path.mkdir()
    steps = [{"step": i, "loss": 3 / i} for i in range(1, 2001)]
    steps.insert(5, {"step": 6, "loss": math.nan, "skipped": True})
    (path / "metrics.jsonl").write_text("".join(json.dumps(s) + "\n" for s in steps) + '{"step": 2001, "lo')
    events = [
        {"kind": "valid", "step": 1000, "value": 0.9, "metric": "cer"},
        {"kind": "valid", "step": 1000, "value": 0.8, "metric": "cer"},
        {"kind": "state", "state": "training"},
        {"kind": "valid", "step": 2000, "value": 0.25, "metric": "cer"},
    ]
    (path / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    write_evaluation(evaluation(), path / "eval", "test")
    return path


def test_the_page_of_a_run_needs_nothing_else(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "digits-<1>")
    (run / "eval" / "broken.json").write_text("{")
    text = write_report(run).read_text()
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.extend(str(v) for k, v in attributes if k in ("src", "href") or tag == "script")

    Links().feed(text)
    assert found == []
    assert "digits-&lt;1&gt;" in text
    assert "50.00 %" in text
    assert "CER on the validation sets" in text
    ElementTree.parse(run / "curve.svg")


def test_a_curve_holds_the_last_validation_of_each_step(tmp_path: Path) -> None:
    loss, valid = training_curves(run_folder(tmp_path / "run"))
    assert valid is not None
    assert (valid.steps, valid.values) == ((1000, 2000), (0.8, 0.25))
    assert len(loss.steps) == 2000
    assert len(loss.points()) <= MAX_POINTS


def test_a_page_of_an_empty_run_says_so(tmp_path: Path) -> None:
    assert "no steps yet" in write_report(tmp_path).read_text()


def test_what_is_not_finite_is_left_out_of_the_picture() -> None:
    picture = draw_curve(Series("loss", (1, 2, 3), (1.0, math.inf, 0.5)))
    ElementTree.fromstring(picture)
    assert "inf" not in picture
    assert "nan" not in picture


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0), (0, 0.07), (0, 123456), (0, 3e-5)])
def test_ticks_are_round_and_reach_the_top(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 3 <= len(ticks) <= 12
