"""A run that pauses at rungs ends as one that never did."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab.compiler.load import load_recipe
from asr_lab.evaluation.hypotheses import read_hypotheses
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.dispatch import prepare, write_request
from asr_lab.runs.events import read_events
from asr_lab.runs.job import entry
from asr_lab.runs.job.stopping import INTERRUPTED
from asr_lab.runs.status import status_of
from asr_lab.training.state import fingerprint
from asr_lab.training.store import CheckpointStore

Write = Callable[..., Path]


def attempt(path: Path, root: Path, pause_share: float | None) -> tuple[RunDirectory, int]:
    """Train a run of the recipe under a root up to a share of it; it and the exit code."""
    document = load_recipe(path)
    prepared = prepare(document, root)
    write_request(prepared, document, False, pause_share)
    return prepared.run, entry.main(str(prepared.run.path))


def bits(run: RunDirectory) -> str:
    """The hash of the last checkpoint but for the clock's part of it."""
    newest = CheckpointStore(run.checkpoints).newest()
    assert newest is not None
    del newest[1].numbers["progress"]["wall_s"]
    return fingerprint(newest[1])


def validations(run: RunDirectory) -> list[tuple[object, ...]]:
    keys = ("step", "share", "value", "cer", "loss", "is_best")
    return [tuple(e.data[key] for key in keys) for e in read_events(run.events_file) if e.kind == "valid"]


def test_pauses_change_nothing(recipe: Write, tmp_path: Path) -> None:
    path = recipe()
    straight, code = attempt(path, tmp_path / "straight", None)
    assert code == 0
    for share, step in ((0.3, 4), (0.5, 8)):
        run, code = attempt(path, tmp_path / "paused", share)
        status = status_of(run)
        assert (code, status.phase, status.step) == (0, "stopped", step)
        assert status.reason == f"the sweep, at {step / 12:.0%} of the training"
    run, code = attempt(path, tmp_path / "paused", 1.0)  # nothing is left to wait for: it ends
    assert (code, status_of(run).attempt) == (0, 3)
    assert bits(run) == bits(straight)
    assert validations(run) == validations(straight)
    assert [one[1] for one in validations(run)] == [4 / 12, 8 / 12, 1.0]
    assert status_of(run).result == status_of(straight).result
    for name in ("valid.jsonl", "test.jsonl"):
        assert (run.eval / name).read_text() == (straight.eval / name).read_text()


def test_a_run_keeps_the_transcripts_of_its_best_validation(recipe: Write, tmp_path: Path) -> None:
    run, _ = attempt(recipe(), tmp_path / "runs", None)
    status = status_of(run)
    records = read_hypotheses(run.eval / "valid.jsonl")
    assert len(records) == 6
    errors = [record["errors"]["wer"] for record in records]
    wrong = sum(e["substitutions"] + e["deletions"] + e["insertions"] for e in errors)
    assert wrong / sum(e["reference"] for e in errors) == status.best


def test_a_signal_counts_before_a_pause(recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from asr_lab.runs.job.fit import Fit

    validate = Fit._validate

    def interrupted(self: Fit) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return validate(self)

    monkeypatch.setattr(Fit, "_validate", interrupted)
    run, code = attempt(recipe(), tmp_path / "runs", 0.3)
    assert (code, status_of(run).reason) == (INTERRUPTED, "SIGTERM")
