"""Shares of sets decoded by jobs of a cluster, or of this machine: `asrlab eval … --workers N --launch slurm`.

A job is given the folder of parts and its share. One that the cluster ends early is put into the queue again by
submitit, and goes on with what is not whole there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

import asr_lab
from asr_lab.errors import LabError, RunError
from asr_lab.slots.launch.local import Local
from asr_lab.slots.launch.slurm import Slurm

if TYPE_CHECKING:
    from asr_lab.recipe import Recipe
    from asr_lab.runs.scheduler import JobState

LOGS = "jobs"
"""Folder of the jobs' logs, below that of the parts."""
POLL_S = {"local": 0.5, "slurm": 5.0}


class DecodeJob:
    """Decodes a share; submitit keeps it by its name."""

    def __call__(self, folder: str, place: int, shares: int) -> None:
        """Do it, and end this process with its exit code."""
        from asr_lab.commands.decode_sets import decode_share

        sys.exit(decode_share(Path(folder), place, shares))

    def checkpoint(self, folder: str, place: int, shares: int) -> Any:
        """What submitit submits again when the job is preempted or out of time."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, folder, place, shares)


def decode_launched(folder: Path, recipe: Recipe, run: Path, shares: int, look: Callable[[], None]) -> None:
    """Submit a job for each share and wait until all are gone; `look` is called meanwhile.

    LabError where a job failed, with its log. A Ctrl-C leaves the jobs to themselves.
    """
    arguments = ([str(folder.resolve())] * shares, list(range(shares)), [shares] * shares)
    logs = folder / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    if isinstance(recipe.launch, Slurm):
        jobs = [
            str(job.job_id) for job in executor(recipe, recipe.launch, run, logs).map_array(DecodeJob(), *arguments)
        ]
        ended = _wait("slurm", jobs, slurm_states, look)
    else:
        from asr_lab.runs.executors import local_executor

        local = local_executor(recipe.launch if isinstance(recipe.launch, Local) else Local(), logs)
        local.update_parameters(tasks_per_node=1)
        jobs = [str(local.submit(DecodeJob(), *one).job_id) for one in zip(*arguments, strict=True)]
        ended = _wait("local", jobs, _local_states, look)
    failed = [f"job {job}: {state}" for job, state in ended.items() if state.has_failed]
    errors = [error for job in jobs for error in _errors(logs, job)]
    if errors:
        raise LabError(errors[0])
    if failed:
        raise LabError(f"{'; '.join(failed)}; logs: {logs}; what was decoded is kept, start the command again")


def executor(recipe: Recipe, launch: Slurm, run: Path, logs: Path) -> Any:
    """The executor of jobs of one process each, whose code is this very one."""
    from asr_lab.compiler.inputs import data_root
    from asr_lab.runs.executors import slurm_executor

    code = Path(asr_lab.__file__).resolve().parent.parent
    paths = [str(code), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    places = [place for dataset in recipe.data.test for place in dataset.places(data_root())]
    needed = list(dict.fromkeys(path.resolve() for path in (run, code, *places)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    one = attrs.evolve(launch, nodes=1, tasks_per_node=1)  # type: ignore[misc]
    return slurm_executor(one, f"{run.name}-eval", logs.resolve(), needed, environment)


def slurm_states(jobs: Sequence[str]) -> Mapping[str, JobState]:
    """The states of jobs as SLURM has them; all alive where it gives no answer."""
    from asr_lab.runs.scheduler import JobState, job_states

    try:
        return job_states(jobs)
    except RunError:
        return {job: JobState("UNKNOWN") for job in jobs}


def _local_states(jobs: Sequence[str]) -> Mapping[str, JobState]:
    from asr_lab.runs.lock import process_started
    from asr_lab.runs.scheduler import GONE, JobState

    return {job: JobState("RUNNING" if process_started(int(job)) is not None else GONE) for job in jobs}


def _wait(
    cluster: str,
    jobs: Sequence[str],
    states: Callable[[Sequence[str]], Mapping[str, JobState]],
    look: Callable[[], None],
) -> dict[str, JobState]:
    """How each job ended."""
    ended: dict[str, JobState] = {}
    while left := [job for job in jobs if job not in ended]:
        time.sleep(POLL_S[cluster])
        ended |= {job: state for job, state in states(left).items() if not state.is_alive}
        look()
    return ended


def _errors(logs: Path, job: str) -> list[str]:
    """What a job's log ends on, where that is an error of the user's."""
    found = []
    for log in sorted(logs.glob(f"{job}_*_log.out")):
        _, marker, message = log.read_text(errors="replace").rpartition("\nerror: ")
        found += [message.splitlines()[0]] if marker else []
    return found
