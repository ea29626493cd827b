"""What a job of its own does first and last: it makes sure of its code, and asks to be put into the queue again.

A job holds a run's directory and nothing else. This module loads little, so that the code is checked before it counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asr_lab
from asr_lab.errors import LabError, RunError, TrainingError
from asr_lab.runs.code_snapshot import check_snapshot


class Job:
    """Trains the run in a folder; submitit keeps it by its name."""

    def __call__(self, folder: str) -> None:
        """Do the job and end this process with its exit code. A bug keeps its traceback."""
        try:
            check_snapshot(Path(asr_lab.__file__).resolve().parent.parent)
            code = self.work(folder)
        except (LabError, TrainingError) as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            sys.exit(2 if isinstance(error, LabError) else 1)
        sys.exit(code)

    def checkpoint(self, folder: str) -> Any:
        """What submitit submits again when the time limit comes before training has begun."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, folder)

    def work(self, folder: str) -> int:
        """Train and score the run; the exit code. The first process asks for another turn where one is due."""
        from asr_lab.runs.job.entry import main
        from asr_lab.runs.job.stopping import INTERRUPTED
        from asr_lab.training.parallel.world import world_of

        code = main(folder)
        if code != INTERRUPTED:
            return code
        if not world_of(os.environ).is_first:
            return 0  # a bad exit would have srun end the first one, which has more to do
        _requeue_where_due(folder)
        return code


class FollowingJob(Job):
    """The same, after a job that the cluster cancelled; it has nothing to do where that one ended by itself."""

    def work(self, folder: str) -> int:
        """Go on with the run, unless it is finished, has failed or was cancelled by its user."""
        from asr_lab.runs.directory import RunDirectory
        from asr_lab.runs.job.stopping import CANCELLED
        from asr_lab.runs.status import status_of

        status = status_of(RunDirectory(Path(folder)))
        if status.phase in ("done", "failed") or (status.phase == "stopped" and status.reason == CANCELLED):
            return 0
        return super().work(folder)


def _requeue_where_due(folder: str) -> None:
    """Have SLURM run this job again where its last record says so; where SLURM refuses, the record says that."""
    from asr_lab.runs.directory import RunDirectory
    from asr_lab.runs.events import EventWriter
    from asr_lab.runs.job.stopping import REQUEUED
    from asr_lab.runs.status import status_of

    run = RunDirectory(Path(folder))
    status = status_of(run)
    if status.phase != REQUEUED:
        return
    try:
        requeue(os.environ["SLURM_JOB_ID"])
    except RunError as error:
        with EventWriter(run.events_file, status.attempt) as events:
            reason = f"{status.reason} ({error})"
            events.write("state", {"state": "stopped", "step": status.step, "reason": reason})


def requeue(job: str) -> None:
    """Put a job back into the queue; RunError where SLURM refuses."""
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"it could not be put into the queue again: {error}") from error
    if done.returncode != 0:
        raise RunError(f"it could not be put into the queue again: {' '.join(done.stderr.split())}")
