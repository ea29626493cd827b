"""What a finished run came to, read back from its directory."""

from __future__ import annotations

from typing import Any

from asr_lab.data.utterance import UnreadableUtterance
from asr_lab.evaluation.evaluation_files import Evaluation, read_evaluation
from asr_lab.evaluation.hypotheses import read_hypotheses, scored_of
from asr_lab.evaluation.scoring import Rate, Scored, SetScore, Slice
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.job.validation import TEST
from asr_lab.runs.status import status_of


def evaluation_of(run: RunDirectory) -> Evaluation | None:
    """The scores of the run's test sets; None when it has none."""
    path = run.eval / f"{TEST}.json"
    if not path.exists():
        return None
    content = read_evaluation(path)
    scored: dict[str, list[Scored]] = {}
    for record in read_hypotheses(run.eval / f"{TEST}.jsonl"):
        scored.setdefault(record["set"], []).append(scored_of(record))
    sets = tuple(_score(one, tuple(scored.get(one["name"], ()))) for one in content["sets"])
    total = _score(content, tuple(s for one in sets for s in one.scored))
    bad = content["unreadable"]
    unreadable = [
        (one["set"], UnreadableUtterance(one["id"], one["audio"], one["reason"], one["text"]))
        for one in bad["utterances"]
    ]
    return Evaluation(total, sets, tuple(unreadable), bad["policy"], content["about"])


def result_json(run: RunDirectory) -> dict[str, Any]:
    """What `--json` prints of a run: its status, and the documented scores of its test sets."""
    status, path = status_of(run), run.eval / f"{TEST}.json"
    test = read_evaluation(path) if path.exists() else None
    found = {"run": run.name, "path": str(run.path), "step": status.step, "metric": status.metric}
    return {**found, "best": status.best, "best_step": status.best_step, "utterances": status.utterances, "test": test}


def _score(content: dict[str, Any], scored: tuple[Scored, ...]) -> SetScore:
    interval = content["interval"]
    return SetScore(
        name=content["name"],
        rates=_rates(content),
        normaliser=content["normaliser"],
        normaliser_hash=content["normaliser_hash"],
        scorer=content["scorer"],
        scorer_hash=content["scorer_hash"],
        utterances=content["utterances"],
        audio_s=content["audio_s"],
        hash=content["hash"],
        resampled=interval["resampled"],
        units=interval["units"],
        resamples=interval["resamples"],
        seed=interval["seed"],
        tables={name: tuple(_row(row) for row in rows) for name, rows in content["tables"].items()},
        scored=scored,
    )


def _row(row: dict[str, Any]) -> Slice:
    return Slice(row["label"], row["utterances"], row["audio_s"], _rates(row))


def _rates(content: dict[str, Any]) -> dict[str, Rate]:
    return {name: Rate(**rate) for name, rate in content["rates"].items()}
