"""However SLURM ends a job, `asrlab runs` and `asrlab watch` have its word: a table, with and without accounting."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from slurm_commands import NO_ACCOUNTS, UNKNOWN_JOB, says, scontrol_job, write_commands
from typer.testing import CliRunner

from asr_lab.compiler.load import load_recipe
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.runs.events import EventWriter
from asr_lab.runs.jobs import SubmittedJob
from asr_lab.runs.lock import RunLock
from cli.main import app

Write = Callable[..., Path]


@attrs.frozen
class End:
    """One way in which SLURM ends a job, and what its user reads of it."""

    state: str
    """`State` of sacct and, but for who cancelled it, `JobState` of scontrol."""
    code: str
    reason: str
    word: str
    shown: str
    """In full, with accounting."""

    @property
    def shown_without(self) -> str:
        """In full, by scontrol: it does not say who cancelled a job, but may have a reason."""
        reason = {"InactiveLimit": "TIMEOUT (InactiveLimit)", "launch failed requeued held": ""}.get(self.reason)
        return reason or self.shown.replace(" by 1000", "")


MEMORY = "killed by SIGKILL, as where memory runs out"
ENDS = [
    End("OUT_OF_MEMORY", "0:125", "OutOfMemory", "OUT_OF_MEMORY", "OUT_OF_MEMORY"),
    End("NODE_FAIL", "1:0", "NodeDown", "NODE_FAIL", "NODE_FAIL"),
    End("TIMEOUT", "0:0", "TimeLimit", "TIMEOUT", "TIMEOUT"),
    End("TIMEOUT", "0:1", "TimeLimit", "TIMEOUT", "TIMEOUT"),
    End("TIMEOUT", "0:15", "InactiveLimit", "TIMEOUT", "TIMEOUT"),
    End("PREEMPTED", "0:0", "None", "PREEMPTED", "PREEMPTED"),
    End("PREEMPTED", "0:15", "None", "PREEMPTED", "PREEMPTED"),
    End("CANCELLED by 1000", "0:0", "None", "CANCELLED", "CANCELLED by 1000"),
    End("CANCELLED by 1000", "0:15", "None", "CANCELLED", "CANCELLED by 1000"),
    End("CANCELLED+", "0:0", "None", "CANCELLED", "CANCELLED"),
    End("CANCELLED", "0:0", "None", "CANCELLED", "CANCELLED"),
    End("BOOT_FAIL", "0:0", "None", "BOOT_FAIL", "BOOT_FAIL"),
    End("DEADLINE", "0:0", "DeadLine", "DEADLINE", "DEADLINE"),
    End("REVOKED", "0:0", "None", "REVOKED", "REVOKED"),
    End("FAILED", "1:0", "NonZeroExitCode", "FAILED", "FAILED (exit code 1)"),
    End("FAILED", "137:0", "NonZeroExitCode", "FAILED", f"FAILED ({MEMORY})"),
    End("FAILED", "0:9", "RaisedSignal:9(Killed)", "FAILED", f"FAILED ({MEMORY})"),
    End("FAILED", "0:11", "RaisedSignal:11(Segmentation_fault)", "FAILED", "FAILED (ended by signal 11)"),
    End("FAILED", "0:53", "RaisedSignal:53(Real-time_signal_19)", "FAILED",
        "FAILED (signal 53, as where a node cannot open the job's log)"),
]  # fmt: skip
JOBS = {"a job": ("12", ""), "an array's": ("12_3", "ArrayJobId=12 ArrayTaskId=3 ")}
CASES = [*((end, "a job") for end in ENDS), *((end, "an array's") for end in ENDS[::4])]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes commands of SLURM that answer so; gives the file of what they were called with."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(**scripts: str) -> Path:
        write_commands(folder, calls, **scripts)
        return calls

    return write


def submitted(recipe: Write, job: str) -> RunDirectory:
    """A run whose job this is."""
    run = create_run(load_recipe(recipe()), runs_root())
    SubmittedJob("slurm", (job,), str(run.submitit), 0).write(run)
    return run


def shown(run: RunDirectory) -> tuple[str, str]:
    """What `asrlab runs` has as its state, and the first line that `asrlab watch` ends with."""
    (row,) = json.loads(CliRunner().invoke(app, ["runs", "--json"]).stdout)
    watched = CliRunner().invoke(app, ["watch", run.name])
    return row["state"], str(watched.exception).splitlines()[0]


@pytest.mark.parametrize(
    ("end", "kind"), CASES, ids=[f"{end.state} {end.code} {end.reason} of {kind}" for end, kind in CASES]
)
def test_an_end_has_its_word_in_runs_and_watch(end: End, kind: str, recipe: Write, slurm: Callable[..., Path]) -> None:
    job, array = JOBS[kind]
    run = submitted(recipe, job)
    rows = [f"{name}|{end.state}|{end.code}|low|n1|2025-11-30T12:50:00" for name in (job, f"{job}.batch")]
    slurm(squeue=UNKNOWN_JOB, scontrol=UNKNOWN_JOB, sacct=says("\n".join(rows)))
    began = f"{run.name}: job {job} ended before it began: "
    assert shown(run) == (end.word, began + end.shown)
    line = scontrol_job(end.word, end.reason, end.code, array=array)
    slurm(squeue=UNKNOWN_JOB, scontrol=says(line), sacct=NO_ACCOUNTS)
    assert shown(run) == (end.word, began + end.shown_without)
    slurm(squeue=says(f"{job}|{end.word}|low|N/A|n[1-2]|{end.reason}"), scontrol=says(line), sacct=NO_ACCOUNTS)
    assert shown(run) == (end.word, began + end.shown_without)  # a squeue that shows ended jobs as well


def test_one_that_was_preempted_just_now_is_waited_for_since_slurm_may_requeue_it(
    recipe: Write, slurm: Callable[..., Path]
) -> None:
    submitted(recipe, "12")
    now = datetime.datetime.now().isoformat(timespec="seconds")
    line = scontrol_job("PREEMPTED").replace("EndTime=2025-11-30T12:50:00", f"EndTime={now}")
    slurm(squeue=UNKNOWN_JOB, scontrol=says(line))
    (row,) = json.loads(CliRunner().invoke(app, ["runs", "--json"]).stdout)
    assert row["state"] == "queued"


def test_one_that_had_begun_is_named_with_its_step(recipe: Write, slurm: Callable[..., Path]) -> None:
    run = submitted(recipe, "12")
    with RunLock.take(run.lock, "12") as lock, EventWriter(run.events_file, lock.attempt) as events:
        events.write("state", {"state": "training", "step": 1200})
    slurm(squeue=UNKNOWN_JOB, scontrol=says(scontrol_job("NODE_FAIL", "NodeDown", "1:0")))
    assert shown(run) == ("NODE_FAIL", f"{run.name}: job 12 ended after step 1,200: NODE_FAIL")


LOGS = {
    "12_0_log.out": "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks have been OOM "
    "Killed.\nsrun: error: n1: task 0: Out Of Memory\n",
    "12_1_log.out": "slurmstepd: error: Detected 2 oom-kill event(s) in StepId=12.0 cgroup. Some of your processes may "
    "have been killed by the cgroup out-of-memory handler.\n",
    "12_2_log.out": "step 3\nsrun: error: o0616: task 0: Out Of Memory\n",
}


@pytest.mark.parametrize("name", LOGS)
def test_without_accounting_memory_that_ran_out_in_a_step_is_read_off_its_log(
    name: str, recipe: Write, slurm: Callable[..., Path]
) -> None:
    run = submitted(recipe, "12")
    (run.submitit / "12_0_log.out").write_text("training\n")
    slurm(squeue=UNKNOWN_JOB, scontrol=says(scontrol_job("FAILED", "NonZeroExitCode", "1:0")), sacct=NO_ACCOUNTS)
    assert shown(run)[0] == "FAILED"
    (run.submitit / name).write_text("x" * 100_000 + "\n" + LOGS[name])
    state, line = shown(run)
    assert state == "OUT_OF_MEMORY"
    assert line == f"{run.name}: job 12 ended before it began: OUT_OF_MEMORY"
    (run.submitit / name).write_text("my recipe says: " + LOGS[name].splitlines()[-1] + "\n")
    assert shown(run)[0] == "FAILED"


@pytest.mark.parametrize(
    ("sacct", "told"),
    [
        (NO_ACCOUNTS, "no longer known to SLURM, which keeps no accounts of ended jobs here"),
        (says(""), "no longer known to SLURM, which keeps no accounts of ended jobs here"),
        (says("12|RUNNING|0:0|low|n1"), "no longer known to SLURM, whose accounts have it as RUNNING still"),
        (says("12|PENDING|0:0|low|None assigned"), "no longer known to SLURM, whose accounts have it as PENDING still"),
        ("echo 'sacct: error: Problem talking to the database: Connection refused' >&2; exit 1",
         "no longer known to SLURM; sacct: Problem talking to the database: Connection refused"),
    ],
)  # fmt: skip
def test_a_job_that_the_controller_forgot_ends_the_watching_whatever_the_accounts_say(
    sacct: str, told: str, recipe: Write, slurm: Callable[..., Path]
) -> None:
    run = submitted(recipe, "12")
    slurm(squeue=UNKNOWN_JOB, scontrol=UNKNOWN_JOB, sacct=sacct)
    assert shown(run) == ("dead", f"{run.name}: job 12 ended before it began: {told}")


SILENT = [
    "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
    "slurm_load_jobs error: Socket timed out on send/recv operation",
    "slurm_load_jobs error: Zero Bytes were transmitted or received",
    "slurm_load_jobs error: Invalid authentication credential",
    "slurm_load_jobs error: Slurm backup controller in standby mode",
    "squeue: fatal: Could not establish a configuration source",
]


@pytest.mark.parametrize("line", SILENT)
@pytest.mark.parametrize("name", ["squeue", "scontrol"])
def test_a_scheduler_without_an_answer_ends_no_run(
    name: str, line: str, recipe: Write, slurm: Callable[..., Path]
) -> None:
    submitted(recipe, "12")
    scripts = {"squeue": "exit 0", "scontrol": UNKNOWN_JOB, name: f"echo '{line}' >&2; exit 1"}
    slurm(**scripts)
    (row,) = json.loads(CliRunner().invoke(app, ["runs", "--json"]).stdout)
    assert row["state"] == "queued"
    assert row["job"]["text"].startswith(f"{name}: {line.rpartition(': ')[2]}")
