"""Scores made anew from kept hypotheses."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lab.commands.rescore import rescore
from asr_lab.data.utterance import UnreadableUtterance
from asr_lab.errors import DataError, LabError, RecipeError
from asr_lab.evaluation.comparison import compare
from asr_lab.evaluation.evaluation_files import evaluate, read_evaluation, write_evaluation
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.normalizer import Normalizer

ROWS = [
    ("a", "The white paper, 2 pages", "the whitepaper two pages", "en_us"),
    ("b", "Don't go", "do not go", "en_us"),
    ("c", "你 好 。", "你好", "cmn_hans_cn"),
]
BAD = UnreadableUtterance("d", "d.wav", "is not audio", "five lost words were here")


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rows = [DecodedUtterance(i, r, h, {"language": one}, 1.0, f"{i}.wav") for i, r, h, one in ROWS]
    evaluation = evaluate({"x": rows}, Normalizer(("lower",)), 100, 7, [("x", BAD)], {"run": "r"})
    return write_evaluation(evaluation, tmp_path, "some")


def test_a_score_is_made_anew_beside_the_old_one(scores: Path) -> None:
    before = scores.read_bytes()
    found = rescore(scores, ['score.normalizer={ type = "fleurs" }', "score.scorer=merge_compounds"])
    assert scores.read_bytes() == before
    content = read_evaluation(found.path)
    assert (content["normaliser"], content["scorer"]) == ("fleurs/1", "merge_compounds/1")
    assert content["about"]["rescored"] == "some.json"
    assert content["about"]["score"]["normalizer"] == {"type": "fleurs"}
    errors = {s.transcript.id: s.num_errors for s in found.evaluation.score.scored}
    assert errors == {"a": 1, "b": 2, "c": 0, "d": 5}
    assert found.evaluation.score.hash == read_evaluation(scores)["hash"]
    assert [one.id for _, one in found.evaluation.unreadable] == ["d"]


def test_what_it_is_scored_by_is_kept_and_taken_up_again(scores: Path) -> None:
    english = rescore(scores, ['score.normalizer={ type = "english" }'])
    assert {s.transcript.id: s.num_errors for s in english.evaluation.score.scored} == {"a": 2, "b": 0, "c": 2, "d": 5}
    again = rescore(english.path, ["score.scorer=merge_compounds", "score.unreadable=left_out"])
    assert again.evaluation.score.normaliser == "english/1"
    assert {s.transcript.id: s.num_errors for s in again.evaluation.score.scored} == {"a": 0, "b": 0, "c": 0}


def test_the_same_settings_give_the_same_bytes(scores: Path) -> None:
    first = rescore(scores, ["score.bootstrap=200"]).path
    content = first.read_bytes(), first.with_suffix(".jsonl").read_bytes()
    again = rescore(scores, ["score.bootstrap=200"]).path
    assert (again, again.read_bytes(), again.with_suffix(".jsonl").read_bytes()) == (first, *content)


@pytest.mark.parametrize(
    ("override", "kind", "message"),
    [
        ("decode.beam=4", LabError, "--set #1: decode.beam is not of how a text is scored"),
        ("score.scorer=fancy", RecipeError, "must be one of plain, merge_compounds, got 'fancy'"),
        ('score.normalizer={ type = "open_asr" }', DataError, "the leaderboard's tables are not at"),
    ],
)
def test_what_is_no_way_to_score_is_refused(
    scores: Path, monkeypatch: pytest.MonkeyPatch, override: str, kind: type[Exception], message: str
) -> None:
    monkeypatch.chdir(scores.parent)
    monkeypatch.delenv("ASRLAB_DATA", raising=False)
    with pytest.raises(kind, match=message):
        rescore(scores, [override])


def test_scores_by_different_scorers_are_not_compared(scores: Path) -> None:
    one, other = (read_evaluation(rescore(scores, [f"score.scorer={s}"]).path) for s in ("plain", "merge_compounds"))
    with pytest.raises(DataError, match=r"scored by plain/1 and by merge_compounds/1; score one of them anew"):
        compare(one, other)


def test_an_evaluation_from_before_the_scorer_had_a_name_counts_as_plain(scores: Path) -> None:
    import json

    content = json.loads(scores.read_text())
    for one in (content, *content["sets"]):
        for key in ("normaliser_hash", "scorer", "scorer_hash"):
            del one[key]
    scores.write_text(json.dumps(content))
    found = read_evaluation(scores)
    assert found["scorer"] == found["sets"][0]["scorer"] == "plain/1"
    assert rescore(scores, []).evaluation.score.scorer == "plain/1"
