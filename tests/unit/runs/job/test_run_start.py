"""The job's own first and last acts: its code is checked, and it asks for another turn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab.compiler.load import load_recipe
from asr_lab.errors import RunError
from asr_lab.runs.code_snapshot import LISTED, check_snapshot, running_code, snapshot_environment, take_snapshot
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.runs.events import EventWriter
from asr_lab.runs.job import entry, start
from asr_lab.runs.job.stopping import CANCELLED, INTERRUPTED
from asr_lab.runs.status import status_of

Write = Callable[..., Path]
ALONE = """
import sys
from asr_lab.runs.job.start import Job
Job()(sys.argv[1])
"""


@pytest.fixture
def run(recipe: Write) -> RunDirectory:
    return create_run(load_recipe(recipe()), runs_root())


@pytest.fixture
def snapshot(run: RunDirectory) -> Path:
    return take_snapshot(running_code(), run.code)


def damage(snapshot: Path, way: str) -> None:
    conv = snapshot / "asr_lab" / "nn" / "conv.py"
    if way == "changed":
        conv.write_text(conv.read_text() + "# x\n")
    elif way == "gone":
        conv.unlink()
    elif way == "new":
        (snapshot / "asr_lab" / "torch.py").write_text("")
    elif way == "no list":
        (snapshot / LISTED).unlink()
    else:
        (snapshot / LISTED).write_text("{}" if way == "another list" else way)


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("changed", "asr_lab/nn/conv.py is changed"),
        ("gone", "asr_lab/nn/conv.py is gone"),
        ("new", "asr_lab/torch.py is new"),
        ("no list", f"{LISTED} cannot be read"),
        ("another list", f"{LISTED} is damaged"),
        ("[1]", f"{LISTED} cannot be read"),
        ("{", f"{LISTED} cannot be read"),
    ],
)
def test_a_damaged_copy_of_the_code_is_named_by_file(snapshot: Path, way: str, told: str) -> None:
    check_snapshot(snapshot)
    damage(snapshot, way)
    with pytest.raises(RunError, match=told) as caught:
        check_snapshot(snapshot)
    assert f"remove {snapshot}" in str(caught.value)
    with pytest.raises(RunError, match=told):
        take_snapshot(running_code(), snapshot.parent)


def test_a_job_checks_its_code_before_anything_of_it_runs(run: RunDirectory, snapshot: Path) -> None:
    damage(snapshot, "changed")
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(run.path)], env=snapshot_environment(snapshot, {}), capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: the run's code in" in done.stderr
    assert "asr_lab/nn/conv.py is changed" in done.stderr
    assert not run.lock.exists()


def test_a_job_that_runs_other_code_than_a_copy_is_refused(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        start.Job()(str(run.path))  # from the checkout
    assert caught.value.code == 2
    assert f"{LISTED} cannot be read" in capsys.readouterr().err


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Jobs that were asked to be requeued; the run itself only ends."""
    jobs: list[str] = []
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setattr(start, "check_snapshot", lambda folder: None)
    monkeypatch.setattr(start, "requeue", jobs.append)
    return jobs


def ends(state: str, reason: str, code: int) -> Callable[[str], int]:
    def main(folder: str) -> int:
        with EventWriter(RunDirectory(Path(folder)).events_file, 1) as events:
            events.write("state", {"state": state, "step": 4, "reason": reason})
        return code

    return main


@pytest.mark.parametrize(
    ("state", "code", "rank", "jobs", "exits"),
    [
        ("requeued", INTERRUPTED, "0", ["12"], INTERRUPTED),
        ("requeued", INTERRUPTED, "1", [], 0),
        ("stopped", INTERRUPTED, "0", [], INTERRUPTED),
        ("done", 0, "0", [], 0),
    ],
)
def test_the_first_process_alone_asks_for_another_turn(
    run: RunDirectory, asked: list[str], monkeypatch: pytest.MonkeyPatch,
    state: str, code: int, rank: str, jobs: list[str], exits: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(entry, "main", ends(state, "preemption", code))
    for name, value in (("WORLD_SIZE", "2"), ("RANK", rank), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "20000")):
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        start.Job()(str(run.path))
    assert (caught.value.code, asked) == (exits, jobs)


def test_a_requeue_that_slurm_refuses_is_written_down(
    run: RunDirectory, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(job: str) -> None:
        raise RunError("it could not be put into the queue again: Job is held")

    monkeypatch.setattr(start, "requeue", refused)
    monkeypatch.setattr(entry, "main", ends("requeued", "preemption", INTERRUPTED))
    with pytest.raises(SystemExit):
        start.Job()(str(run.path))
    status = status_of(run)
    assert (status.phase, status.step) == ("stopped", 4)
    assert status.reason == "preemption (it could not be put into the queue again: Job is held)"


@pytest.mark.parametrize(
    ("state", "reason", "works"),
    [
        ("done", "", False),
        ("failed", "", False),
        ("stopped", CANCELLED, False),
        ("stopped", "preemption (its job may not be requeued)", True),
        ("requeued", "preemption", True),
        ("training", "", True),
    ],
)
def test_a_job_that_waits_to_take_over_does_so_where_the_one_before_was_cut_short(
    run: RunDirectory, asked: list[str], monkeypatch: pytest.MonkeyPatch, state: str, reason: str, works: bool
) -> None:
    ends(state, reason, 0)(str(run.path))
    began: list[str] = []
    monkeypatch.setattr(entry, "main", lambda folder: began.append(folder) or 0)
    with pytest.raises(SystemExit) as caught:
        start.FollowingJob()(str(run.path))
    assert (caught.value.code, bool(began)) == (0, works)
