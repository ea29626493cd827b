"""Points as jobs of a scheduler: asked for together, and how each one ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from asr_lab.config.grid import grid
from asr_lab.errors import LabError
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.jobs import JobWatch, SubmittedJob
from asr_lab.runs.scheduler import JobState
from asr_lab.runs.status import RunStatus
from asr_lab.runs.study.array import SharedStates, SubmittedJobs, SubmittedPoint
from asr_lab.runs.study.points import points_of
from asr_lab.runs.study.pool import Pool
from asr_lab.runs.study.study import place_of
from asr_lab.slots.launch.slurm import Slurm

QUICKSTART = Path(__file__).resolve().parents[4] / "recipes" / "quickstart.toml"


class Scheduler:
    """A clock, the jobs' states, and what was asked of them."""

    def __init__(self, **words: str) -> None:
        self.now = 0.0
        self.words = dict(words)
        self.asked: list[tuple[str, ...]] = []

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        self.asked.append(tuple(jobs))
        return {job: JobState(self.words[job]) for job in jobs}

    def clock(self) -> float:
        return self.now


def point(shared: SharedStates, job: str, since: int = 0) -> SubmittedPoint:
    watch = JobWatch(SubmittedJob("slurm", (job,), "logs", since), shared, every_s=0.0)
    return SubmittedPoint(RunDirectory(Path("runs") / job), watch, shared)


def test_all_jobs_are_asked_for_at_once_and_not_often() -> None:
    scheduler = Scheduler(**{"7_0": "RUNNING", "7_1": "PENDING"})
    shared = SharedStates(scheduler.states, scheduler.clock)
    points = [point(shared, "7_0"), point(shared, "7_1")]
    for _ in range(20):
        assert [one.end(RunStatus()) for one in points] == [None, None]
    assert scheduler.asked == [("7_0",), ("7_0", "7_1")]
    scheduler.now = 6.0
    for _ in range(20):
        assert [one.end(RunStatus()) for one in points] == [None, None]
    assert scheduler.asked[2:] == [("7_0", "7_1")]
    points[0].close()
    scheduler.now = 12.0
    points[1].end(RunStatus())
    assert scheduler.asked[3:] == [("7_1",)]


def test_a_job_is_over_where_the_run_or_the_scheduler_says_so() -> None:
    scheduler = Scheduler(**{"8": "RUNNING"})
    one = point(SharedStates(scheduler.states, scheduler.clock), "8", since=2)
    assert one.end(RunStatus(attempt=2, phase="done")) is None  # that was before it was submitted
    end = one.end(RunStatus(attempt=3, phase="done"))
    assert end is not None
    assert end.reason == ""
    scheduler.words["8"], scheduler.now = "OUT_OF_MEMORY", 6.0
    end = one.end(RunStatus(attempt=3, phase="training"))
    assert end is not None
    assert end.reason == "its job 8: OUT_OF_MEMORY"


def test_a_job_that_makes_room_is_not_over() -> None:
    scheduler = Scheduler(**{"8": "PREEMPTED"})
    one = point(SharedStates(scheduler.states, scheduler.clock), "8")
    assert one.end(RunStatus(attempt=1, phase="requeued")) is None
    scheduler.words["8"], scheduler.now = "PENDING", 6.0
    assert one.end(RunStatus(attempt=1, phase="requeued")) is None


def test_the_launch_table_says_where_points_are_trained() -> None:
    def place(*texts: str, workers: int | None = None) -> object:
        return place_of(points_of(QUICKSTART, grid(["seed=1,2", *texts], "x")), workers)

    here = place(workers=3)
    assert isinstance(here, Pool)
    assert (here.num_free(1, 9), here.outlives_the_study) == (2, False)
    assert isinstance(place('launch={type="local"}'), Pool)
    array = place('launch={type="slurm", array_parallelism=4}')
    assert isinstance(array, SubmittedJobs)
    assert isinstance(array.launch, Slurm)
    assert (array.num_free(1, 9), array.outlives_the_study) == (9, True)
    with pytest.raises(LabError, match=r"launch\.array_parallelism says how many"):
        place('launch={type="slurm"}', workers=3)
