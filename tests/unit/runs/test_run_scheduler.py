"""What SLURM's commands print, read: every state, with and without accounting."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from asr_lab.errors import RunError
from asr_lab.runs.scheduler import Answer, JobState, ask, from_sacct, from_scontrol, is_preempted, job_state, job_states

UNKNOWN = Answer("")


def scontrol(word: str, reason: str = "None", code: str = "0:0", more: str = "") -> str:
    """A line as `scontrol show job -o` of SLURM 22.05 prints it."""
    return (
        f"JobId=12 JobName=tiny-0a1b2c3d UserId=user(1000) GroupId=user(1000) MCS_label=N/A Priority=4294901759 Nice=0 "
        f"Account=(null) QOS=(null) JobState={word} Reason={reason} Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 "
        f"Reboot=0 ExitCode={code} RunTime=00:01:07 TimeLimit=00:20:00 TimeMin=N/A SubmitTime=2025-11-30T10:00:00 "
        f"EligibleTime=2025-11-30T10:00:00 StartTime=2025-11-30T12:30:00 EndTime=2025-11-30T12:50:00 Deadline=N/A "
        f"SuspendTime=None SecsPreSuspend=0 Partition=low AllocNode:Sid=login:77 ReqNodeList=(null) "
        f"ExcNodeList=(null) NodeList=n[1-2] BatchHost=n1 NumNodes=2 {more}\n"
    )


def slurm(**answers: str) -> tuple[list[str], object]:
    """Commands that answer so, and what was asked of them; one that is not named cannot answer."""
    asked: list[str] = []

    def answer(command: Sequence[str]) -> Answer:
        asked.append(command[0])
        return Answer(answers[command[0]]) if command[0] in answers else UNKNOWN

    return asked, answer


ENDED = [
    ("COMPLETED", "COMPLETED", "0:0", "COMPLETED"),
    ("FAILED", "FAILED", "1:0", "FAILED (exit code 1)"),
    ("FAILED", "FAILED", "137:0", "FAILED (killed by SIGKILL, as where memory runs out)"),
    ("FAILED", "FAILED", "0:9", "FAILED (killed by SIGKILL, as where memory runs out)"),
    ("FAILED", "FAILED", "0:11", "FAILED (ended by signal 11)"),
    ("OUT_OF_MEMORY", "OUT_OF_MEMORY", "0:125", "OUT_OF_MEMORY"),
    ("NODE_FAIL", "NODE_FAIL", "1:0", "NODE_FAIL"),
    ("TIMEOUT", "TIMEOUT", "0:0", "TIMEOUT"),
    ("CANCELLED", "CANCELLED by 1000", "0:15", "CANCELLED by 1000"),
    ("PREEMPTED", "PREEMPTED", "0:0", "PREEMPTED"),
    ("BOOT_FAIL", "BOOT_FAIL", "0:0", "BOOT_FAIL"),
    ("DEADLINE", "DEADLINE", "0:0", "DEADLINE"),
    ("REVOKED", "REVOKED", "0:0", "REVOKED"),
]


@pytest.mark.parametrize(("word", "accounted", "code", "shown"), ENDED)
def test_an_end_has_its_word_with_accounting(word: str, accounted: str, code: str, shown: str) -> None:
    rows = f"12|{accounted}|{code}|low|n[1-2]\n12.batch|{accounted}|{code}||n1\n12.0|{accounted}|{code}||n[1-2]\n"
    asked, answer = slurm(squeue="", sacct=rows)
    found = job_state("12", answer)
    assert (found.word, found.is_alive, str(found)) == (word, False, shown)
    assert asked == ["squeue", "scontrol", "sacct"]


@pytest.mark.parametrize(("word", "accounted", "code", "shown"), ENDED)
def test_an_end_has_its_word_without_accounting(word: str, accounted: str, code: str, shown: str) -> None:
    asked, answer = slurm(scontrol=scontrol(word, code=code))
    found = job_state("12", answer)
    assert (found.word, found.is_alive) == (word, False)
    assert str(found) == shown.replace(" by 1000", "")
    assert asked == ["squeue", "scontrol"]


@pytest.mark.parametrize(
    ("word", "reason", "start", "shown"),
    [
        ("PENDING", "Priority", "2025-11-30T12:30:00",
         "PENDING in low (Priority), expected to start 2025-11-30T12:30:00"),
        ("PENDING", "Resources", "N/A", "PENDING in low (Resources)"),
        ("PENDING", "ReqNodeNotAvail, UnavailableNodes:n[1-2]", "N/A",
         "PENDING in low (ReqNodeNotAvail, UnavailableNodes:n[1-2])"),
        ("PENDING", "Nodes required for job are DOWN, DRAINED or reserved", "N/A",
         "PENDING in low (Nodes required for job are DOWN, DRAINED or reserved)"),
        ("PENDING", "a|b", "N/A", "PENDING in low (a|b)"),
        ("CONFIGURING", "None", "2025-11-30T12:30:00", "CONFIGURING in low, expected to start 2025-11-30T12:30:00"),
        ("REQUEUED", "BeginTime", "N/A", "REQUEUED in low (BeginTime)"),
        ("REQUEUE_HOLD", "job_requeued_in_held_state", "N/A",
         "REQUEUE_HOLD in low (job_requeued_in_held_state); it is held until: scontrol release"),
        ("SPECIAL_EXIT", "JobHeldUser", "N/A",
         "SPECIAL_EXIT in low (JobHeldUser); it is held until: scontrol release"),
    ],
)  # fmt: skip
def test_a_waiting_job_shows_queue_reason_and_expected_start(word: str, reason: str, start: str, shown: str) -> None:
    asked, answer = slurm(squeue=f"12|{word}|low|{start}||{reason}\n")
    found = job_state("12", answer)
    assert (str(found), found.is_alive, found.is_waiting) == (shown, True, True)
    assert asked == ["squeue"]
    line = scontrol(word, "Priority")
    read = from_scontrol(line)
    assert read is not None
    assert (read.word, read.is_waiting, read.start) == (word, True, "2025-11-30T12:30:00")


@pytest.mark.parametrize("word", ["RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "NEW_ONE"])
def test_a_job_that_runs_is_alive_whatever_word_a_later_version_has(word: str) -> None:
    _, answer = slurm(squeue=f"12|{word}|low|2025-11-30T10:00:00|n[1-2]|None\n")
    found = job_state("12", answer)
    assert (found.is_alive, found.is_waiting, str(found)) == (True, False, f"{word} on n[1-2]")


def test_memory_that_ran_out_in_a_step_is_the_word() -> None:
    rows = "12|FAILED|1:0|low|n1\n12.batch|FAILED|1:0||n1\n12.0|OUT_OF_MEMORY|0:125||n1\n"
    found = from_sacct(rows, "12")
    assert found is not None
    assert found.word == "OUT_OF_MEMORY"
    assert from_sacct(rows, "1") is None


def test_of_an_array_each_job_is_its_own() -> None:
    rows = "12_0|RUNNING|low|2025-11-30T10:00:00|n1|None\n12_1|PENDING|low|N/A||JobArrayTaskLimit\n"
    asked, answer = slurm(squeue=rows, scontrol=scontrol("FAILED", code="1:0"))
    found = job_states(["12_1", "12_0", "12_2"], answer)
    assert [state.word for state in found.values()] == ["PENDING", "RUNNING", "FAILED"]
    assert asked == ["squeue", "scontrol"]


def test_a_job_that_no_command_knows_is_gone_and_says_why() -> None:
    _, answer = slurm(squeue="")
    found = job_state("12", answer)
    assert not found.is_alive
    assert "keeps no accounts" in str(found)


def test_preemption_is_told_from_a_cancel() -> None:
    for more, expected in (
        ("PreemptEligibleTime=2025-11-30T10:00:00 PreemptTime=2025-11-30T12:31:00 ", True),
        ("PreemptEligibleTime=2025-11-30T10:00:00 PreemptTime=None ", False),
        ("", False),
    ):
        _, answer = slurm(scontrol=scontrol("COMPLETING", more=more))
        assert is_preempted("12", answer) is expected


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def write(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_controller_that_does_not_answer_says_nothing_of_a_job(commands: Path) -> None:
    message = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    write(commands / "squeue", f"echo '{message}' >&2; exit 1")
    with pytest.raises(RunError, match="squeue: Unable to contact slurm controller"):
        job_state("12")


def test_without_accounting_sacct_refuses_and_that_is_no_error(commands: Path) -> None:
    for name in ("squeue", "scontrol"):
        write(commands / name, "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    write(commands / "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert job_state("12").word == "GONE"
    assert ask(["squeue"]) == UNKNOWN


def test_a_machine_without_slurm_says_so(commands: Path) -> None:
    assert str(job_state("12")) == "not to be asked for: this machine has no squeue"


def test_bytes_that_are_no_text_do_not_reach_the_terminal(commands: Path) -> None:
    write(commands / "squeue", r"printf '12|PENDING|lo\033[31mw|N/A||\377why\n'")
    assert job_state("12") == JobState("PENDING", "lo[31mw", "�why")
