"""The job: everything that happens in a run's directory, from its lock to its scores. It is given a path, nothing else.

What decides how training goes on is in the checkpoint. A job killed anywhere starts again from its last whole
checkpoint and does the same once more.
"""

from __future__ import annotations

import contextlib
import json
import os
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.devices import num_workers, threads_beside
from asr_lab.errors import LabError, RunError, TrainingError, is_of_environment, of_environment
from asr_lab.files import remove_leftovers
from asr_lab.runs.directory import RunDirectory, identity_of
from asr_lab.runs.events import EventWriter
from asr_lab.runs.find import find_weights
from asr_lab.runs.job.attempt import Attempted
from asr_lab.runs.job.elsewhere import Events, HeldElsewhere, Lock, Metrics, WrittenElsewhere
from asr_lab.runs.job.fit import Fit
from asr_lab.runs.job.record import tell_attempt
from asr_lab.runs.job.scores import score_run
from asr_lab.runs.job.selection import Selection
from asr_lab.runs.job.stopping import INTERRUPTED, Stopper
from asr_lab.runs.jobs import job_of
from asr_lab.runs.lock import RunLock
from asr_lab.runs.provenance import read_provenance
from asr_lab.runs.request import AttemptRequest
from asr_lab.runs.status import status_of
from asr_lab.runs.world_size import open_world
from asr_lab.training.parallel.world import world_of

if TYPE_CHECKING:
    from asr_lab.compiler.build import Experiment
    from asr_lab.recipe import Recipe
    from asr_lab.training.parallel.group import Group
    from asr_lab.training.store import CheckpointStore

LOCK_WAIT_S = 90.0
"""Patience with an owner on another machine whose heart may have stopped."""


def main(folder: str, wait_s: float = LOCK_WAIT_S, group: Group | None = None) -> int:
    """Train and score the run in `folder`, from wherever it stands; the exit code: 0, or 130 when asked to stop.

    Where a launcher started several processes, all of them call it, and the first has the lock and writes; `group` is
    theirs where it is open already.

    Raises RunInUse when another process has the run for longer than `wait_s` seconds, LabError for what the user can
    fix and TrainingError for a run that failed; events.jsonl has the last two.
    """
    run, world = RunDirectory(Path(folder)), world_of(os.environ)
    if group is None and world.size > 1:
        with open_world(run.document().value.parallel, world) as group:
            return main(folder, wait_s, group)
    with (
        Stopper(is_silent=not world.is_first) as stop,
        _held(run, wait_s, group) as (lock, events),
        _errors_told(events),
    ):
        from asr_lab.training.parallel.group import Group

        return 0 if _work(Attempted(run, lock, events, stop, group or Group())) else INTERRUPTED


@contextlib.contextmanager
def _held(run: RunDirectory, wait_s: float, group: Group | None) -> Iterator[tuple[Lock, Events]]:
    """The run's lock and events; for ranks other than 0, which wait until it has them, what stands in their place."""
    with contextlib.ExitStack() as held:
        if group is None:
            lock = held.enter_context(RunLock.take(run.lock, job_of(os.environ), wait_s))
            yield lock, held.enter_context(EventWriter(run.events_file, lock.attempt))
            return
        taken: list[RunLock] = []

        def take() -> int:
            taken.append(held.enter_context(RunLock.take(run.lock, job_of(os.environ), wait_s)))
            return taken[0].attempt

        number = group.first(take, "the run's lock")
        if taken:
            yield taken[0], held.enter_context(EventWriter(run.events_file, number))
        else:
            yield HeldElsewhere(number), WrittenElsewhere()


def _work(attempt: Attempted) -> bool:
    """Build, train what is left to train, score the test sets; False when it was asked to end before.

    A pause that was asked for is all that was to be done.
    """
    from asr_lab.compiler.build import build
    from asr_lab.training.arithmetic import arithmetic_of
    from asr_lab.training.determinism import apply_determinism
    from asr_lab.training.parallel.machine_share import device_of, own_processors
    from asr_lab.training.store import CheckpointStore

    run, group = attempt.run, attempt.group
    document = run.document()
    recipe = document.value
    result = group.first(lambda: _begin(run, recipe), "looking at what is there")
    if result is not None:
        attempt.events.write("done", result)
        return True
    attempt.events.write("state", {"state": "building"})
    _share_processors(recipe, own_processors(group))
    start = None if recipe.init is None else find_weights(recipe.init.from_, run.path.parent)
    arithmetic = arithmetic_of(recipe.determinism.level)
    determinism = apply_determinism(arithmetic, arithmetic.device(device_of(group.world)))
    experiment = build(document, run.path, start, group, lambda: attempt.stop.number, arithmetic)
    store = CheckpointStore(run.checkpoints, recipe.train.keep_last, recipe.train.keep_best, group)
    selection = Selection(recipe.train.metric, recipe.train.patience)
    resumed = _resume(attempt, store, selection, experiment)
    lineage = None if experiment.lineage is None else attrs.asdict(experiment.lineage)
    parts = {"resumed_from": resumed, "determinism": determinism, "init": lineage}
    group.first(lambda: tell_attempt(attempt, document, experiment, parts), "the run's record")
    with _open_metrics(attempt, recipe, resumed or 0) as metrics:
        fit = Fit(attempt, experiment, recipe, store, selection, metrics, AttemptRequest.read(run).pause_share)
        if not fit.train():
            return fit.is_paused
    return score_run(attempt, experiment, recipe, store, selection)


def _begin(run: RunDirectory, recipe: Recipe) -> dict[str, Any] | None:
    """Clear away what a killed attempt left; the record `done` where there is nothing more to do."""
    remove_leftovers(run.path)
    return _scored_before(run, recipe)


def _scored_before(run: RunDirectory, recipe: Recipe) -> dict[str, Any] | None:
    """The record `done` of a run that was finished, as asked for now, while this process waited for it."""
    status, after = status_of(run), AttemptRequest.read(run).after
    if status.phase != "done" or after is None or status.attempt <= after:
        return None
    try:
        attempts = read_provenance(run)
    except RunError:
        return None
    asked = json.loads(json.dumps(identity_of(recipe).evaluation))
    return status.result if attempts and attempts[-1].get("evaluation") == asked else None


def _share_processors(recipe: Recipe, processors: int) -> None:
    import torch

    threads = threads_beside(num_workers(recipe.data.num_workers, processors), processors)
    if threads is not None:
        torch.set_num_threads(threads)


def _resume(attempt: Attempted, store: CheckpointStore, selection: Selection, experiment: Experiment) -> int | None:
    """Load the newest whole checkpoint; its step, None when there is none."""
    attempt.group.first(attempt.lock.check, "looking for a checkpoint")  # building took its time
    store.clean()
    with warnings.catch_warnings(record=True) as passed_over:
        warnings.simplefilter("always")
        newest = store.newest(experiment.learner.snapshot().tensors)
    for one in passed_over:
        attempt.warn(str(one.message))
    if newest is None:
        return None
    saved, snapshot = newest
    store.drop_after(saved.step)
    experiment.learner.restore(snapshot)
    selection.restore(snapshot.numbers["job"]["selection"])
    return saved.step


@contextlib.contextmanager
def _open_metrics(attempt: Attempted, recipe: Recipe, step: int) -> Iterator[Metrics]:
    """metrics.jsonl, cut back to `step`, with its listeners."""
    if not attempt.writes:
        yield WrittenElsewhere()
        return
    from asr_lab.training.listeners import open_listener
    from asr_lab.training.metrics import MetricsWriter, cut_back, read_metrics

    run, every = attempt.run, recipe.log.every_steps
    cut_back(run.metrics_file, step)
    newest = max((record["step"] for record in read_metrics(run.metrics_file)), default=0)
    if newest < (wanted := step - step % every):  # copied while it trained, or damaged
        attempt.warn(f"{run.metrics_file.name} knows nothing of steps {newest + 1:,} to {wanted:,}")
    identity = run.resolved().hash
    listeners = [open_listener(kind, run.path, run.name, identity, step) for kind in recipe.log.listeners]
    writer = MetricsWriter(run.metrics_file, listeners)
    try:
        yield writer
    finally:
        writer.close()


@contextlib.contextmanager
def _errors_told(events: Events) -> Iterator[None]:
    """Write down what ends an attempt, for those who watch from elsewhere, and let it pass."""
    try:
        yield
    except (LabError, TrainingError) as error:
        _tell_error(events, error, 2 if isinstance(error, LabError) else 1)
        raise
    except OSError as error:
        if not is_of_environment(error):
            _tell_error(events, error, 1, traceback.format_exc())
            raise
        told = of_environment(error)
        _tell_error(events, told, 2)
        raise told from error
    except Exception as error:
        _tell_error(events, error, 1, traceback.format_exc())
        raise


def _tell_error(events: Events, error: Exception, code: int, trace: str = "") -> None:
    message = f"{type(error).__name__}: {error}" if trace else str(error)
    record = {"message": message, "type": type(error).__name__, "exit": code}
    with contextlib.suppress(OSError):  # a full disk holds no record either; the error itself goes on
        events.write("error", record | ({"traceback": trace} if trace else {}))
