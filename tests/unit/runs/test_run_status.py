"""Stories: what events add up to, and what a view says of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from asr_lab.errors import RunError
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.events import Event, EventWriter, Kind
from asr_lab.runs.jobs import SubmittedJob
from asr_lab.runs.lock import RunLock
from asr_lab.runs.status import RunStatus, state_of, status_of
from asr_lab.runs.view import PlainView, describe, duration, follow, log_tail


def tell(*records: tuple[int, float, str, dict[str, Any]]) -> RunStatus:
    status = RunStatus()
    for record in records:
        status.add(Event(*record))
    return status


def step(number: int, share: float) -> dict[str, Any]:
    return {"step": number, "epoch": 0, "loss": 2.0, "lr": 0.1, "audio_s_per_s": 30.0, "share": share}


def valid(at: int, value: float, best: float, best_step: int) -> dict[str, Any]:
    return {"step": at, "metric": "wer", "value": value, "best": best, "best_step": best_step}


def test_a_status_follows_steps_and_validations() -> None:
    status = tell(
        (1, 0.0, "state", {"state": "building"}),
        (1, 1.0, "step", step(10, 0.1)),
        (1, 2.0, "valid", valid(10, 0.5, 0.5, 10)),
        (1, 3.0, "step", step(20, 0.2)),
        (1, 4.0, "valid", valid(20, 0.6, 0.5, 10)),
    )
    assert (status.step, status.valid, status.best, status.best_step) == (20, 0.6, 0.5, 10)
    assert (
        describe(status)
        == "training  step 20  epoch 1  loss 2.000  WER 60.0% (best 50.0% at 10)  30 s audio/s  ETA 16s"
    )


def test_a_line_shows_the_languages_with_the_highest_rates() -> None:
    rates = {f"l{i}": i / 10 for i in range(8)}
    status = tell((1, 0.0, "valid", {**valid(10, 0.5, 0.5, 10), "languages": rates}))
    assert describe(status).endswith("[l7 70.0%, l6 60.0%, l5 50.0%, l4 40.0%, l3 30.0%, l2 20.0% and 2 more]")
    status.add(Event(1, 1.0, "valid", valid(20, 0.6, 0.5, 10)))
    assert "l7" not in describe(status)
    for damaged in ({"l1": "x"}, {"l1": None}, [0.1]):
        with pytest.raises(RunError, match="no usable languages in a record of valid"):
            tell((1, 0.0, "valid", {**valid(10, 0.5, 0.5, 10), "languages": damaged}))


def test_a_new_attempt_forgets_how_the_one_before_ended() -> None:
    status = tell((1, 0, "error", {"message": "no", "exit": 1}), (2, 1, "state", {"state": "building"}))
    assert (status.phase, status.error, status.ended) == ("building", None, False)


def test_records_of_an_attempt_that_was_overtaken_count_for_nothing() -> None:
    status = tell((2, 0, "step", step(5, 0.5)), (1, 1, "step", step(99, 0.9)), (1, 2, "done", {}))
    assert (status.step, status.ended) == (5, False)


def test_a_break_between_attempts_is_not_in_the_pace() -> None:
    status = tell(
        (1, 0.0, "step", step(1, 0.1)),
        (2, 5000.0, "step", step(2, 0.2)),
        (2, 5010.0, "step", step(3, 0.3)),
    )
    assert status.eta_s == pytest.approx(70.0)


def write(run: RunDirectory, attempt: int, *records: tuple[Kind, dict[str, Any]]) -> None:
    run.path.mkdir(exist_ok=True)
    with EventWriter(run.events_file, attempt) as events:
        for kind, data in records:
            events.write(kind, data)


def test_states_of_a_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert state_of(run, status_of(run)) == ("new", None)
    with RunLock.take(run.lock):
        write(run, 1, ("step", step(1, 0.1)))
        assert state_of(run, status_of(run))[0] == "running"
    assert state_of(run, status_of(run))[0] == "dead"
    write(run, 1, ("state", {"state": "stopped", "reason": "Ctrl-C"}))
    assert state_of(run, status_of(run))[0] == "stopped"
    write(run, 1, ("done", {"step": 1}))
    assert state_of(run, status_of(run))[0] == "finished"
    with RunLock.take(run.lock):
        pass
    assert state_of(run, status_of(run))[0] == "dead"  # the second attempt never wrote an event


def test_following_ends_with_the_run_and_misses_nothing(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    lines: list[str] = []
    with RunLock.take(run.lock) as lock:
        write(run, lock.attempt, ("state", {"state": "building"}))
        found: list[RunStatus] = []
        view = PlainView(run, lines.append)
        thread = threading.Thread(target=lambda: found.append(follow(run, view)))
        thread.start()
        write(run, lock.attempt, ("warning", {"message": "a cut is left out"}), ("valid", valid(7, 0.25, 0.25, 7)))
        write(run, lock.attempt, ("done", {"step": 7}))
    thread.join(10)
    assert found[0].phase == "done"
    assert any("a cut is left out" in line for line in lines)
    assert "done  step 7" in lines[-1]
    assert "WER 25.0%" in lines[-1]


def test_following_ends_when_the_process_is_killed(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    hold = "import sys,time;from pathlib import Path;from asr_lab.runs.lock import RunLock;"
    hold += "RunLock.take(Path(sys.argv[1]));print('held',flush=True);time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(run.lock)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        write(run, 1, ("step", step(3, 0.1)))
        threading.Timer(0.5, process.kill).start()
        status = follow(run, PlainView(run, lambda line: None))
    assert (status.step, status.ended) == (3, False)


def write_log(run: RunDirectory, name: str, text: str, age_s: float = 0) -> None:
    path = run.submitit / name
    path.write_text(text)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))


def test_a_log_is_shown_from_its_end_that_of_an_error_before_newer_ones(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert log_tail(run) is None
    SubmittedJob("slurm", ("12",), str(run.submitit), 0).write(run)
    assert log_tail(run) is None
    write_log(run, "11_0_log.out", "an earlier job's\n")
    write_log(run, "12_0_log.out", "".join(f"line {n}\n" for n in range(50)), 100)
    write_log(run, "12_1_log.out", "other\n", 200)
    assert log_tail(run) == (run.submitit / "12_0_log.out", [f"line {n}" for n in range(30, 50)])
    write_log(run, "12_1_log.out", "other\nTraceback (most recent call last):\n  why\n", 200)
    assert log_tail(run) == (run.submitit / "12_1_log.out", ["other", "Traceback (most recent call last):", "  why"])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59, "59s"), (90, "1m30s"), (3700, "1h01m"), (200_000, "2d7h")]
)
def test_durations_are_written_shortly(seconds: float, text: str) -> None:
    assert duration(seconds) == text
