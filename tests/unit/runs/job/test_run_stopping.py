"""Signals: the first asks, the second ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr_lab.errors import RunError
from asr_lab.runs.job.stopping import CANCELLED, INTERRUPTED, REPEATED_S, Ending, Stopper, ending

WAIT = """
import sys, time
from asr_lab.runs.job.stopping import Stopper
with Stopper() as stop:
    print("ready", flush=True)
    while stop.reason is None or sys.argv[1] == "goes on":
        time.sleep(0.01)
    print(stop.reason, flush=True)
"""


def test_a_signal_is_noted_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stopper() as stop:
        assert stop.reason is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_first_signal_lets_the_step_end(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WAIT, "looks"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline().strip() == "Ctrl-C"
    assert process.returncode == 0


def test_the_second_signal_ends_at_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAIT, "goes on"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "\n"
        assert "once more" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
    assert process.returncode == INTERRUPTED


def test_a_signal_that_a_scheduler_sends_twice_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at once when it comes again later."""
    ended: list[int] = []
    now = [100.0]
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Stopper() as stop:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR2):
            os.kill(os.getpid(), number)
            now[0] += 1
        assert (stop.reason, ended) == ("SIGTERM", [])
        now[0] += REPEATED_S
        os.kill(os.getpid(), signal.SIGTERM)
        assert ended == [INTERRUPTED]


JOB = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "12"}
LIMIT = "the job's time limit"


@pytest.mark.parametrize(
    ("reason", "environ", "preempted", "requeueable", "end"),
    [
        ("SIGTERM", JOB, True, True, Ending("requeued", "preemption")),
        ("SIGTERM", JOB, True, False, Ending("stopped", "preemption (its job may not be requeued)")),
        ("SIGTERM", JOB, False, True, Ending("stopped", CANCELLED)),
        (LIMIT, JOB, False, True, Ending("requeued", LIMIT)),
        (LIMIT, JOB, False, False, Ending("stopped", f"{LIMIT} (its job may not be requeued)")),
        ("Ctrl-C", JOB, True, True, Ending("stopped", "Ctrl-C")),
        ("SIGTERM", {"SLURM_JOB_ID": "12"}, True, True, Ending("stopped", "SIGTERM")),
        (LIMIT, {"SUBMITIT_EXECUTOR": "local", "SUBMITIT_LOCAL_JOB_ID": "12"}, True, True, Ending("stopped", LIMIT)),
    ],
)
def test_preemption_and_time_limits_requeue_a_dispatched_job_and_nothing_else_does(
    reason: str, environ: dict[str, str], preempted: bool, requeueable: bool, end: Ending
) -> None:
    assert ending(reason, environ, lambda job: preempted, lambda job: requeueable) == end


def test_a_scheduler_that_answers_late_is_asked_again_and_one_that_never_does_is_told() -> None:
    answers: list[RunError | bool] = [RunError("scontrol: Socket timed out"), True]

    def preempted(job: str) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, RunError):
            raise answer
        return answer

    waits: list[float] = []
    assert ending("SIGTERM", JOB, preempted, lambda job: True, waits.append) == Ending("requeued", "preemption")
    assert len(waits) == 1
    answers[:] = [RunError("scontrol: Socket timed out")] * 9
    end = ending("SIGTERM", JOB, preempted, lambda job: True, waits.append)
    assert end == Ending("stopped", "SIGTERM (the scheduler gives no reason: scontrol: Socket timed out)")


WORKER = """
import os, signal, sys, time
from asr_lab.runs.job.stopping import Stopper
with Stopper() as stop:
    worker = os.fork()
    if not worker:
        time.sleep(1)
        os._exit(7 if stop.reason is None else 8)
    time.sleep(0.3)
    os.killpg(os.getpgid(0), signal.SIGTERM)  # SLURM signals every process of a step
    print(stop.reason, os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
"""


def test_workers_take_no_notice_of_a_signal_to_all() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, start_new_session=True)
    assert done.stdout.split() == ["SIGTERM", "7"], done.stderr
    assert done.stderr.count("saving after this step") == 1
