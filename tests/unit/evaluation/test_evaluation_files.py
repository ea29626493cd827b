"""Evaluations on disk, on the screen and on the page."""

from __future__ import annotations

import io
import json
import math
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from asr_lab.data.utterance import UnreadableUtterance
from asr_lab.errors import DataError
from asr_lab.evaluation.comparison import compare
from asr_lab.evaluation.evaluation_files import (
    Evaluation,
    UnreadablePolicy,
    evaluate,
    evaluation_json,
    read_evaluation,
    write_evaluation,
)
from asr_lab.evaluation.hypotheses import read_hypotheses, scored_of
from asr_lab.evaluation.page import training_curves, write_report
from asr_lab.evaluation.plots import MAX_POINTS, Series, draw_training
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
    "required": ["format", "rates", "normaliser", "utterances", "hypotheses", "sets", "interval", "hash", "unreadable"],
    "properties": {
        "format": {"const": 2},
        "rates": {"type": "object", "required": ["wer", "cer", "ser"], "additionalProperties": RATE},
        "normaliser": {"type": "string"},
        "utterances": COUNT,
        "hypotheses": {"type": "string"},
        "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "sets": {"type": "array", "minItems": 1, "items": {"required": ["name", "rates", "tables"]}},
    },
}


BAD = UnreadableUtterance("d", "d.wav", "no such file", "seven eight", {"speaker": "ben"})


def evaluation(policy: UnreadablePolicy = "left_out", **more: list[DecodedUtterance]) -> Evaluation:
    digits = [
        DecodedUtterance("a", "One, two!", "one two", {"speaker": "ann"}, 1.0, "a.wav"),
        DecodedUtterance("b", "three four", "three", {"speaker": "ben"}, 2.5, "b.wav"),
        DecodedUtterance("c", "five [six]", "five sex ten", {"speaker": "ann"}, 0.5, "c.wav"),
    ]
    steps = Normalizer(("nfc", "lower", "strip_punctuation"))
    about = {"run": "x", "decode": {"beam": 1}}
    return evaluate({"digits": digits, **more}, steps, 100, 0, [("digits", BAD)], about, policy)


def test_the_json_has_the_documented_shape(tmp_path: Path) -> None:
    path = write_evaluation(evaluation(), tmp_path, "test")
    content = json.loads(path.read_text())
    jsonschema.validate(content, SHAPE)
    assert content["rates"]["wer"]["value"] == pytest.approx(3 / 6)
    assert content["hypotheses"] == "test.jsonl"
    bad = {"set": "digits", "id": "d", "audio": "d.wav", "reason": "no such file", "text": "seven eight"}
    assert content["unreadable"] == {"policy": "left_out", "utterances": [bad]}
    assert [row["label"] for row in content["tables"]["speaker"]] == ["ann", "ben"]
    assert content["about"]["decode"] == {"beam": 1}


def test_hypotheses_carry_texts_and_counts(tmp_path: Path) -> None:
    content = read_evaluation(write_evaluation(evaluation(), tmp_path, "test"))
    rows = read_hypotheses(Path(content["hypotheses"]))
    assert [r["id"] for r in rows] == ["a", "b", "c"]
    assert rows[0]["reference"] == "One, two!"
    assert rows[0]["normalised"] == {"reference": "one two", "hypothesis": "one two"}
    assert rows[2]["errors"]["wer"] == {"substitutions": 1, "deletions": 0, "insertions": 1, "reference": 2}
    assert (rows[1]["speaker"], rows[1]["duration_s"], rows[1]["audio"]) == ("ben", 2.5, "b.wav")
    assert sum(r["errors"]["wer"]["deletions"] for r in rows) == content["rates"]["wer"]["deletions"]


def test_several_sets_are_scored_apart_and_together() -> None:
    found = evaluation_json(evaluation(other=[DecodedUtterance("a", "seven", "seven", {}, 1.0)]), "x.jsonl")
    assert [one["name"] for one in found["sets"]] == ["digits", "other"]
    words = [one["rates"]["wer"]["reference"] for one in (found, *found["sets"])]
    assert words[0] == sum(words[1:]) == 7
    assert found["utterances"] == 4


def test_nothing_to_score_says_what_was_wrong() -> None:
    with pytest.raises(DataError, match="no utterance to score: d: no such file"):
        evaluate({"x": []}, Normalizer(()), 100, 0, [("x", BAD)])


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
    with pytest.raises(DataError, match=r"h\.jsonl:2 is damaged: reference: missing.*; hypothesis: missing"):
        read_hypotheses(path)


def test_the_tables_say_what_the_numbers_mean() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    print_evaluation(console, evaluation(), worst=1)
    text = " ".join(console.export_text().split())
    for part in ("50.00 %", "words (WER)", "characters (CER)", "sub", "del", "ins", "resamples", "by speaker"):
        assert part in text
    assert "1 utterance unreadable; left out of the score" in text
    assert "no such file" in text
    assert "REF: five *** six" in text
    assert "HYP: five sex ten" in text
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
    picture = draw_training(Series("loss", (1, 2, 3), (1.0, math.inf, 0.5)), Series("WER", (2,), (0.25,), True))
    ElementTree.fromstring(picture)
    assert "inf" not in picture.lower()
    assert "nan" not in picture
    assert "WER" in picture
    assert picture == draw_training(Series("loss", (1, 2, 3), (1.0, math.inf, 0.5)), Series("WER", (2,), (0.25,), True))


def test_unreadable_utterances_count_as_deleted_words_unless_they_are_left_out() -> None:
    counted, left_out = evaluation("deleted").score, evaluation("left_out").score
    words, fewer = counted.rates["wer"], left_out.rates["wer"]
    assert (words.deletions - fewer.deletions, words.reference - fewer.reference) == (2, 2)
    assert counted.rates["ser"].errors == left_out.rates["ser"].errors + 1
    assert (counted.utterances, left_out.utterances, counted.audio_s) == (4, 3, left_out.audio_s)
    assert counted.hash != left_out.hash
    console = Console(width=100, record=True, file=io.StringIO())
    print_evaluation(console, evaluation("deleted"), worst=0)
    assert "1 utterance unreadable; all their words count as deleted (score.unreadable)" in console.export_text()


def test_what_has_no_transcript_or_a_name_that_is_taken_is_listed_and_not_counted(tmp_path: Path) -> None:
    rows = [DecodedUtterance("a", "one", "one", {}, 1.0)]
    bad = [UnreadableUtterance("x:3", "", "row has 2 fields", None), UnreadableUtterance("a", "b.wav", "twice", "one")]
    found = evaluate({"s": rows}, Normalizer(()), 100, 0, [("s", one) for one in bad])
    assert found.score.utterances == 1
    content = read_evaluation(write_evaluation(found, tmp_path, "x"))
    assert [one["id"] for one in content["unreadable"]["utterances"]] == ["x:3", "a"]


def test_a_set_of_which_nothing_can_be_read_is_deleted_words_beside_others() -> None:
    found = evaluate(
        {"s": [DecodedUtterance("a", "one", "one", {}, 1.0)], "t": []}, Normalizer(()), 100, 0, [("t", BAD)]
    )
    assert [(one.name, one.rates["wer"].value) for one in found.sets] == [("s", 0.0), ("t", 1.0)]


def as_format_1(path: Path) -> None:
    """The same evaluation as version 0.1.0 wrote it."""

    def older(one: dict[str, Any]) -> dict[str, Any]:
        rates = one.pop("rates")
        tables = {name: [older(row) for row in rows] for name, rows in one.pop("tables", {}).items()}
        return {**one, "wer": rates["wer"], "cer": rates["cer"], **({"tables": tables} if tables else {})}

    content = json.loads(path.read_text())
    unreadable = content.pop("unreadable")["utterances"]
    content = {
        **older(content),
        "format": 1,
        "skipped": [{k: v for k, v in u.items() if k != "text"} for u in unreadable],
    }
    content["sets"] = [older(one) for one in content["sets"]]
    path.write_text(json.dumps(content))
    lines = path.with_suffix(".jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        errors = record.pop("errors")
        record |= {"words": errors["wer"], "characters": errors["cer"]}
    path.with_suffix(".jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def test_an_evaluation_of_format_1_is_read_and_compared_with_one_of_today(tmp_path: Path) -> None:
    new = write_evaluation(evaluation(), tmp_path, "new")
    old = write_evaluation(evaluation(), tmp_path, "old")
    as_format_1(old)
    before, now = read_evaluation(old), read_evaluation(new)
    assert before["rates"] == {name: now["rates"][name] for name in ("wer", "cer")}
    assert [row["rates"]["wer"] for row in before["tables"]["speaker"]] == [
        row["rates"]["wer"] for row in now["tables"]["speaker"]
    ]
    assert before["unreadable"]["policy"] == "left_out"
    assert [scored_of(r).errors["wer"] for r in read_hypotheses(Path(before["hypotheses"]))] == [
        scored_of(r).errors["wer"] for r in read_hypotheses(Path(now["hypotheses"]))
    ]
    found = compare(before, now)
    assert set(found.rates) == {"wer", "cer"}
    assert found.rates["wer"].difference == 0


def _without(content: Any, path: tuple[str | int, ...]) -> Any:
    key, *rest = path
    if not rest:
        del content[key]
    else:
        _without(content[key], tuple(rest))
    return content


@pytest.mark.parametrize(
    "path",
    [
        ("rates",), ("rates", "wer"), ("rates", "wer", "low"), ("interval", "seed"), ("hash",), ("sets",),
        ("sets", 0, "rates"), ("tables", "speaker", 0, "rates"), ("hypotheses",), ("utterances",), ("format",),
    ],
)  # fmt: skip
def test_an_evaluation_without_a_part_is_refused_by_name(tmp_path: Path, path: tuple[str | int, ...]) -> None:
    file = write_evaluation(evaluation(), tmp_path, "test")
    file.write_text(json.dumps(_without(json.loads(file.read_text()), path)))
    with pytest.raises(DataError, match=r"test\.json .*evaluate again"):
        read_evaluation(file)


def test_an_evaluation_of_a_later_format_is_refused_by_its_number(tmp_path: Path) -> None:
    file = write_evaluation(evaluation(), tmp_path, "test")
    file.write_text(file.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(DataError, match="it has format 3"):
        read_evaluation(file)
