"""Commands of SLURM that answer as a test has them, and texts as its manual pages and a real one of 22.05 give them."""

from __future__ import annotations

import stat
from pathlib import Path

UNKNOWN_JOB = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
NO_ACCOUNTS = "echo 'Slurm accounting storage is disabled' >&2; exit 1"


def write_commands(folder: Path, calls: Path, **scripts: str) -> None:
    """Write squeue, scontrol, sacct and scancel into a folder; each notes its words in the file `calls`."""
    for name in ("squeue", "scontrol", "sacct", "scancel"):
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n{scripts.get(name, UNKNOWN_JOB)}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def says(text: str) -> str:
    """A script that prints this."""
    return f"cat <<'END'\n{text.rstrip()}\nEND"


def scontrol_job(word: str, reason: str = "None", code: str = "0:0", more: str = "", array: str = "") -> str:
    """A line as `scontrol show job -o` prints it; `array` is `ArrayJobId=12 ArrayTaskId=1 ` of a task."""
    return (
        f"JobId=12 {array}JobName=tiny-0a1b2c3d UserId=ada(1000) GroupId=ada(1000) MCS_label=N/A Priority=4294901759 "
        f"Nice=0 Account=(null) QOS=(null) JobState={word} Reason={reason} Dependency=(null) Requeue=1 Restarts=0 "
        f"BatchFlag=1 Reboot=0 ExitCode={code} RunTime=00:01:07 TimeLimit=00:20:00 TimeMin=N/A "
        f"SubmitTime=2025-11-30T10:00:00 EligibleTime=2025-11-30T10:00:00 StartTime=2025-11-30T12:30:00 "
        f"EndTime=2025-11-30T12:50:00 Deadline=N/A SuspendTime=None SecsPreSuspend=0 Partition=low "
        f"AllocNode:Sid=login:77 ReqNodeList=(null) ExcNodeList=(null) NodeList=n[1-2] BatchHost=n1 NumNodes=2 {more}\n"
    )
