"""Scores made anew from kept hypotheses, without decoding: `asrlab rescore`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.commands.evaluate import inline_toml
from asr_lab.compiler.inputs import data_root
from asr_lab.config.load import loads
from asr_lab.config.section import section
from asr_lab.config.structure import unstructure
from asr_lab.data.utterance import UnreadableUtterance
from asr_lab.errors import LabError
from asr_lab.evaluation.evaluation_files import evaluate, read_evaluation, write_evaluation
from asr_lab.evaluation.hypotheses import decoded_of, read_hypotheses
from asr_lab.evaluation.language_files import read_times, speed_of, write_languages
from asr_lab.evaluation.languages import SetFacts, by_language
from asr_lab.evaluation.page import write_report
from asr_lab.recipe import Score
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from asr_lab.evaluation.evaluation_files import Evaluation

SECTION = "score"


@section
class Rescoring:
    """The one table of a recipe that a score is made anew by."""

    score: Score = Score()


@attrs.frozen
class Rescored:
    """An evaluation, scored anew, and where it was written."""

    evaluation: Evaluation
    path: Path
    speeds: Mapping[str, float]
    """Seconds of computing for each second of audio when it was decoded, by set, where they were kept."""


def rescore(path: Path, overrides: Sequence[str]) -> Rescored:
    """Score the hypotheses of an evaluation anew; written beside it, which stays as it is.

    It is scored as it was (`about.score`, or the recipe of the run that it lies in), but for `overrides`, each
    `score.KEY=VALUE`. Raises LabErrors.
    """
    content = read_evaluation(path)
    about = dict(content["about"])
    how = _settings(path, about, overrides)
    records = read_hypotheses(Path(content["hypotheses"]))
    decoded: dict[str, list[DecodedUtterance]] = {one["name"]: [] for one in content["sets"]}
    for record in records:
        if not (record.get("unreadable") and how.unreadable == "left_out"):
            decoded.setdefault(record.get("set", ""), []).append(decoded_of(record))
    bad = [
        (one["set"], UnreadableUtterance(one["id"], one["audio"], one["reason"], one["text"]))
        for one in content["unreadable"]["utterances"]
    ]
    normalizer, seed = how.build_normalizer(data_root()), content["interval"]["seed"]
    score = unstructure(how)
    about |= {"score": score, "rescored": path.name}
    evaluation = evaluate(decoded, normalizer, how.bootstrap, seed, bad, about, how.unreadable, how.scorer)
    key = json.dumps([score, normalizer.hash], sort_keys=True)
    stem = f"{path.stem}-rescored-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    if content.get("languages"):
        facts = {one.name: SetFacts(**content["languages"][one.name]) for one in evaluation.sets}
        evaluation = attrs.evolve(evaluation, languages=by_language(evaluation.sets, facts))
    written = write_evaluation(evaluation, path.parent, stem)
    times = read_times(path)
    if evaluation.languages is not None:
        write_languages(written, evaluation, times)
    if (folder := _run_of(path)) is not None:
        write_report(folder)
    return Rescored(evaluation, written, speed_of(times))


def _settings(path: Path, about: dict[str, Any], overrides: Sequence[str]) -> Score:
    for number, text in enumerate(overrides, start=1):
        key = text.partition("=")[0].strip()
        if key.split(".")[0].split("[")[0] != SECTION:
            raise LabError(f"--set #{number}: {key} is not of how a text is scored; rescoring can set only score.…")
    stored = about.get("score")
    if not isinstance(stored, dict):
        folder = _run_of(path)
        stored = {} if folder is None else unstructure(RunDirectory(folder).document_as_made().value.score)
    return loads(f"{SECTION} = {inline_toml(stored)}", Rescoring, str(path), overrides).value.score


def _run_of(path: Path) -> Path | None:
    """The directory of the run whose `eval/` a file lies in; None where it lies elsewhere."""
    folder = path.resolve().parent
    return folder.parent if folder.name == "eval" and (folder.parent / "recipe.toml").is_file() else None
