"""A study at work: its points are trained by a pool of processes, and what is finished is not trained again.

Nothing is kept but the runs: where each stands, and what halving decided, follows from what they wrote down. A study
that is started again after anything therefore goes on where it was.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from asr_lab.config.identity import canonical
from asr_lab.config.structure import unstructure
from asr_lab.errors import LabError, RecipeError, RunError, is_of_environment, of_environment
from asr_lab.runs.code_snapshot import Code, running_code
from asr_lab.runs.directory import RunDirectory, create_run, identity_of
from asr_lab.runs.dispatch import Prepared, check_data, check_start, prepare_found, write_request
from asr_lab.runs.find import run_of, runs_of
from asr_lab.runs.job.stopping import Stopper
from asr_lab.runs.lock import Liveness
from asr_lab.runs.provenance import read_provenance
from asr_lab.runs.status import RunStatus
from asr_lab.runs.study.array import SubmittedJobs
from asr_lab.runs.study.halving import check_rungs, drop, rungs
from asr_lab.runs.study.point_job import JobEnd, JobPlace, PointJob
from asr_lab.runs.study.points import StudyPoint
from asr_lab.runs.study.pool import Pool, default_workers
from asr_lab.runs.study.tracked import OPEN, TrackedPoint
from asr_lab.runs.world_size import refuse_launched_study
from asr_lab.training.parallel.world import world_of

LOOK_EVERY_S = 0.25


@attrs.define(eq=False)
class Study:
    """The points of a study, each with its run, and how they are trained."""

    tracked: tuple[TrackedPoint, ...]
    root: Path
    """Where runs live."""
    code: Code
    place: JobPlace
    """Where its points are trained."""
    eta: int | None = None
    """Successive halving: one in so many goes on from a rung; None = all train to their end."""
    accept_changes: bool = False
    _active: list[tuple[TrackedPoint, PointJob]] = attrs.field(factory=list, init=False)
    _elsewhere: list[TrackedPoint] = attrs.field(factory=list, init=False)
    _is_told_to_stop: bool = attrs.field(default=False, init=False)

    @property
    def num_arms(self) -> int:
        """Ways of training, their repetitions not counted."""
        return len({one.point.arm for one in self.tracked})

    def train(self, stop: Stopper) -> Iterator[None]:
        """Train what is not finished; a step is a look at all of it. Ends early once `stop` has a reason: all saved,
        or left to go on by itself where its place outlives the study.

        A point that fails is told so in its state, and the others go on.
        """
        try:
            for share in (*(rungs(self.num_arms, self.eta) if self.eta else ()), None):
                yield from self._train_to(share, stop)
                if stop.reason is not None:
                    return
                if share is not None and self.eta is not None:
                    drop(self.tracked, share, self.eta)
        finally:
            for _, job in self._active:
                job.close()

    def _train_to(self, share: float | None, stop: Stopper) -> Iterator[None]:
        """Train every open point to a share of its training, or to its end."""
        open_ones = (one for one in self.tracked if one.state in OPEN and not one.dropped)
        queue = deque(one for one in open_ones if share is None or one.at(share) is None)
        while queue or self._active or self._elsewhere:
            self._look(queue, share)
            if stop.reason is not None:
                if self.place.outlives_the_study:
                    return
                queue.clear()
                self._elsewhere.clear()
                self._tell_to_stop()
            num_free = self.place.num_free(len(self._active), len(queue))
            self._start([queue.popleft() for _ in range(min(num_free, len(queue)))], share)
            yield
            if queue or self._active or self._elsewhere:
                time.sleep(LOOK_EVERY_S)

    def _look(self, queue: deque[TrackedPoint], share: float | None) -> None:
        for one, job in list(self._active):
            one.refresh()
            if (end := job.end(one.status)) is not None:
                one.refresh()  # what it wrote last
                self._active.remove((one, job))
                self._conclude(one, job, end, share)
                job.close()
        for one in list(self._elsewhere):
            assert one.run is not None
            is_held = Liveness(one.run.lock).holder() is not None
            one.refresh()
            if not is_held:
                self._elsewhere.remove(one)
                one.state = "waiting"
                if share is None or one.at(share) is None:
                    queue.appendleft(one)

    def _tell_to_stop(self) -> None:
        if not self._is_told_to_stop:
            self._is_told_to_stop = True
            for _, job in self._active:
                job.stop()

    def _start(self, points: Sequence[TrackedPoint], share: float | None) -> None:
        """Start points together, but for those that are finished or that another command trains."""
        ready: list[tuple[TrackedPoint, RunDirectory, Path]] = []
        for one in points:
            with _failing([one]):
                prepared = self._prepared(one)
                one.take(prepared.run)
                one.refresh()
                if prepared.standing == "finished":
                    one.state = "finished"
                elif prepared.standing == "running":
                    self._leave(one, prepared.run)
                else:
                    snapshot = write_request(prepared, one.point.document, self.accept_changes, share)
                    self.code = _as_in(self.code, snapshot)
                    ready.append((one, prepared.run, snapshot))
        if not ready:
            return
        with _failing([one for one, _, _ in ready]):
            jobs = self.place.start([(run, snapshot) for _, run, snapshot in ready])
            for (one, _, _), job in zip(ready, jobs, strict=True):
                one.state, one.reason = "running", ""
                self._active.append((one, job))

    def _prepared(self, one: TrackedPoint) -> Prepared:
        """The point's run, made where there is none. Other runs are not looked through: the study did that."""
        document, run = one.point.document, one.run
        if run is None:
            try:
                return Prepared(create_run(document, self.root), "new", RunStatus(), self.code)
            except RunError:
                run = run_of(identity_of(document.value), self.root)  # made by another command meanwhile
                if run is None:
                    raise
        return prepare_found(document, run, self.code, self.accept_changes)

    def _leave(self, one: TrackedPoint, run: RunDirectory) -> None:
        """A point that is trained already: by a job that an earlier study submitted, or by another command."""
        job = self.place.taken_up(run)
        if job is not None:
            one.state = "running"
            self._active.append((one, job))
        else:
            one.state = "elsewhere"
            self._elsewhere.append(one)

    def _conclude(self, one: TrackedPoint, job: PointJob, end: JobEnd, share: float | None) -> None:
        """What became of a point whose job is over."""
        status = one.status
        has_begun = status.attempt > job.since
        if end.is_elsewhere:
            one.state = "elsewhere"
            self._elsewhere.append(one)
        elif has_begun and status.phase == "done":
            one.state = "finished"
        elif has_begun and status.phase == "stopped" and share is not None and one.at(share) is not None:
            one.state = "paused"
        elif has_begun and status.phase == "stopped":
            one.state, one.reason = "stopped", f"stopped by {status.reason}"
        elif has_begun and status.phase == "failed" and status.error is not None:
            one.fail(status.error["message"])
        else:
            one.fail(end.reason)


@contextlib.contextmanager
def _failing(points: Sequence[TrackedPoint]) -> Iterator[None]:
    """What the user can mend is these points' failure; the others go on."""
    try:
        yield
    except LabError as error:
        for one in points:
            one.fail(str(error))
    except OSError as error:
        if not is_of_environment(error):
            raise
        for one in points:
            one.fail(str(of_environment(error)))


def study_of(
    points: Sequence[StudyPoint],
    root: Path,
    workers: int | None = None,
    eta: int | None = None,
    accept_changes: bool = False,
) -> Study:
    """A study of these points, each with the run that it has already; nothing is written yet.

    LabError where one may not go on: its code, packages or defaults have changed since and that is not accepted.
    """
    refuse_launched_study(world_of(os.environ))
    code, place = running_code(), place_of(points, workers)
    if eta is not None:
        check_rungs(points)
        rungs(len({point.arm for point in points}), eta)
    runs = runs_of([point.hash for point in points], root)
    tracked = tuple(TrackedPoint(point) for point in points)
    refused: list[tuple[str, LabError]] = []
    for one in tracked:
        try:
            if (run := runs.get(one.point.hash)) is None:
                check_start(one.point.document, root)
            else:
                _take_up(one, run, code, accept_changes)
        except LabError as error:
            refused.append((one.point.label, error))
    if refused:
        more = f"\n{len(refused) - 1} more of {len(points)} points are refused too" if len(refused) > 1 else ""
        raise RunError(f"{refused[0][0]}: {refused[0][1]}{more}")
    if not accept_changes:
        _check_data([one for one in tracked if one.state == "finished"], code)
    return Study(tracked, root, code, place, eta, accept_changes)


def place_of(points: Sequence[StudyPoint], workers: int | None) -> JobPlace:
    """Where points are trained, by their `[launch]`: a pool of processes here, or jobs that are submitted.

    LabError where they are to be launched in several ways, or `workers` has no effect.
    """
    launch = points[0].document.value.launch
    if any(point.document.value.launch != launch for point in points):
        raise RecipeError(points[0].document.file, [points[0].document.problem("launch", "must be one for all points")])
    if launch.cluster == "slurm":
        if workers is not None:
            raise LabError("--workers has no effect on SLURM: launch.array_parallelism says how many jobs run at once")
        return SubmittedJobs(launch)
    if launch.num_processes > 1:
        return SubmittedJobs(launch, workers or 1)
    return Pool(workers or default_workers())


def _take_up(one: TrackedPoint, run: RunDirectory, code: Code, accept_changes: bool) -> None:
    prepared = prepare_found(one.point.document, run, code, accept_changes)
    one.take(run)
    one.refresh()
    if prepared.standing == "finished":
        one.state = "finished"


def _check_data(finished: Sequence[TrackedPoint], code: Code) -> None:
    """RunError where a finished run was trained or scored on other data than is there, or than another one was.

    Data that several points share are read once.
    """
    first: dict[str, tuple[TrackedPoint, object]] = {}
    for one in finished:
        assert one.run is not None
        recipe = unstructure(one.point.document.value)
        key = canonical([recipe["data"], recipe["text"], recipe["tokenizer"]])
        hashes = [read_provenance(one.run)[-1]["hashes"].get(kind) for kind in ("data", "tokenizer", "test")]
        if key not in first:
            check_data(Prepared(one.run, "finished", one.status, code), one.point.document)
            first[key] = one, hashes
        elif hashes != first[key][1]:
            other = first[key][0].run
            assert other is not None
            raise RunError(f"{one.run.path} and {other.path} had other data; train one anew: asrlab run --again")


def _as_in(code: Code, snapshot: Path) -> Code:
    """The same code, to be copied from a snapshot of it: edits while a study goes on are no part of it."""
    return Code(code.files, {name: snapshot / name for name in code.folders})
