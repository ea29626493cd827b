"""Points as jobs that are submitted: on SLURM an array, whose jobs go on when the study's command ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from asr_lab.errors import RunError
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.dispatch import cancel, start_jobs
from asr_lab.runs.jobs import LOOK_EVERY_S, JobWatch, States, SubmittedJob, submitted_job
from asr_lab.runs.scheduler import JobState, job_states
from asr_lab.runs.status import RunStatus
from asr_lab.runs.study.point_job import JobEnd, PointJob
from asr_lab.slots.launch import Launch


class SharedStates:
    """The states of all jobs of a study, asked of the scheduler together: it serves the whole cluster."""

    def __init__(self, states: States = job_states, clock: Callable[[], float] = time.monotonic) -> None:
        self._states, self._clock = states, clock
        self._jobs: dict[str, JobState | None] = {}
        """Those that are watched, with the last answer."""
        self._asked_at: float | None = None

    def __call__(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """The states of some jobs, at most a few seconds old."""
        is_new = any(self._jobs.get(job) is None for job in jobs)
        self._jobs |= {job: None for job in jobs if job not in self._jobs}
        if is_new or self._asked_at is None or self._clock() - self._asked_at >= LOOK_EVERY_S:
            self._asked_at = self._clock()
            self._jobs.update(self._states(list(self._jobs)))
        return {job: state for job in jobs if (state := self._jobs[job]) is not None}

    def forget(self, jobs: Sequence[str]) -> None:
        """Ask of them no more."""
        for job in jobs:
            self._jobs.pop(job, None)


@attrs.define
class SubmittedPoint:
    """A point whose job was submitted."""

    run: RunDirectory
    watch: JobWatch
    shared: SharedStates

    @property
    def since(self) -> int:
        """The newest attempt when it was submitted."""
        return self.watch.job.since

    def end(self, status: RunStatus) -> JobEnd | None:
        """Over where the run says so, or the scheduler: it ends with the scheduler's word."""
        state = self.watch.look()
        if status.attempt > self.since and status.ended:
            return JobEnd("")
        return None if not state.word or state.is_alive else JobEnd(f"its job {self.watch.job.ids[-1]}: {state}")

    def stop(self) -> None:
        """Have it save and end; a job of SLURM goes on by itself."""
        if self.watch.job.cluster == "local":
            with contextlib.suppress(RunError):
                cancel(self.run)

    def close(self) -> None:
        """Ask the scheduler of it no more."""
        self.shared.forget(self.watch.job.ids)


@attrs.define
class SubmittedJobs:
    """The place that `[launch]` names."""

    launch: Launch
    workers: int | None = None
    """Jobs at once on this machine; an array is as large as it need be, and `launch.array_parallelism` of it run."""
    shared: SharedStates = attrs.field(factory=SharedStates)

    @property
    def outlives_the_study(self) -> bool:
        """SLURM's jobs do."""
        return self.launch.cluster == "slurm"

    def num_free(self, num_active: int, num_waiting: int) -> int:
        """All that wait, on SLURM."""
        return num_waiting if self.workers is None else max(0, self.workers - num_active)

    def start(self, runs: Sequence[tuple[RunDirectory, Path]]) -> list[PointJob]:
        """Submit them, several as an array."""
        jobs = start_jobs([run for run, _ in runs], runs[0][1], self.launch)
        return [self._watched(run, job) for (run, _), job in zip(runs, jobs, strict=True)]

    def taken_up(self, run: RunDirectory) -> PointJob | None:
        """The job that was submitted for a run, whether by this study or not."""
        job = submitted_job(run)
        return self._watched(run, job) if job is not None and job.cluster == self.launch.cluster else None

    def _watched(self, run: RunDirectory, job: SubmittedJob) -> PointJob:
        return SubmittedPoint(run, JobWatch(job, self.shared, every_s=0.0), self.shared)
