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
from asr_lab.errors import (
    CheckpointError,
    LabError,
    RunError,
    TrainingError,
    is_of_environment,
    of_environment,
)
from asr_lab.files import remove_leftovers
from asr_lab.runs.code_snapshot import running_code
from asr_lab.runs.directory import RunDirectory, identity_of
from asr_lab.runs.events import EventWriter, read_events
from asr_lab.runs.find import find_weights
from asr_lab.runs.job.attempt import Attempted
from asr_lab.runs.job.fit import Fit
from asr_lab.runs.job.selection import Selection
from asr_lab.runs.job.stopping import INTERRUPTED, StopNow, Stopper, ending
from asr_lab.runs.jobs import job_of
from asr_lab.runs.lock import RunLock
from asr_lab.runs.provenance import (
    add_provenance,
    changes,
    host_changes,
    read_provenance,
    record_attempt,
    refusal,
    this_host,
)
from asr_lab.runs.request import AttemptRequest
from asr_lab.runs.status import status_of
from asr_lab.runs.world_size import refuse_several_processes

if TYPE_CHECKING:
    from asr_lab.compiler.build import Experiment
    from asr_lab.recipe import Recipe
    from asr_lab.training.metrics import MetricsWriter
    from asr_lab.training.store import CheckpointStore

LOCK_WAIT_S = 90.0
"""Patience with an owner on another machine whose heart may have stopped."""


def main(folder: str, wait_s: float = LOCK_WAIT_S) -> int:
    """Train and score the run in `folder`, from wherever it stands; the exit code: 0, or 130 when asked to stop.

    Raises RunInUse when another process has the run for longer than `wait_s` seconds, LabError for what the user can
    fix and TrainingError for a run that failed; events.jsonl has the last two.
    """
    run = RunDirectory(Path(folder))
    refuse_several_processes()
    with (
        Stopper() as stop,
        RunLock.take(run.lock, job_of(os.environ), wait_s) as lock,
        EventWriter(run.events_file, lock.attempt) as events,
        _errors_told(events),
    ):
        return 0 if _work(Attempted(run, lock, events, stop)) else INTERRUPTED


def _work(attempt: Attempted) -> bool:
    """Build, train what is left to train, score the test sets; False when it was asked to end before.

    A pause that was asked for is all that was to be done.
    """
    from asr_lab.compiler.build import build
    from asr_lab.compiler.effects import line, without_effect
    from asr_lab.training.determinism import apply_determinism
    from asr_lab.training.store import CheckpointStore

    run = attempt.run
    remove_leftovers(run.path)
    document = run.document()
    recipe = document.value
    if (result := _scored_before(run, recipe)) is not None:
        attempt.events.write("done", result)
        return True
    attempt.events.write("state", {"state": "building"})
    _share_processors(recipe)
    start = None if recipe.init is None else find_weights(recipe.init.from_, run.path.parent)
    experiment = build(document, run.path, start)
    determinism = apply_determinism(recipe.determinism.level, experiment.learner.device)
    store = CheckpointStore(run.checkpoints, recipe.train.keep_last, recipe.train.keep_best)
    attempt.lock.check()  # building took its time
    store.clean()
    selection = Selection(recipe.train.metric, recipe.train.patience)
    resumed = _resume(store, selection, experiment)
    parts = {"resumed_from": resumed, "determinism": determinism, "init": _lineage(experiment)}
    is_changed = _record(attempt, experiment, recipe, parts)
    if resumed is not None and not is_changed:
        experiment.left_out.take_up(run.left_out_file, experiment.valid_files)
    experiment.left_out.write(run.left_out_file)
    attempt.warn_of_left_out(experiment.left_out)
    for problem in without_effect(document, experiment.extent):
        attempt.warn(line(problem))
    with _open_metrics(attempt, recipe, resumed or 0) as metrics:
        pause = AttemptRequest.read(run).pause_share
        fit = Fit(attempt, experiment, recipe, store, selection, metrics, pause)
        if not fit.train():
            return fit.is_paused
    step = experiment.learner.progress.step
    try:
        attempt.stop.raise_from_now()  # trained and saved: a time limit need not wait for the scores
        _score(attempt, experiment, recipe, store, selection)
    except StopNow:
        end = ending(attempt.stop.reason or "")
        attempt.events.write("state", {"state": end.state, "step": step, "reason": end.reason})
        return False
    return True


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


def _share_processors(recipe: Recipe) -> None:
    import torch

    threads = threads_beside(num_workers(recipe.data.num_workers))
    if threads is not None:
        torch.set_num_threads(threads)


def _lineage(experiment: Experiment) -> dict[str, Any] | None:
    return None if experiment.lineage is None else attrs.asdict(experiment.lineage)


def _resume(store: CheckpointStore, selection: Selection, experiment: Experiment) -> int | None:
    """Load the newest whole checkpoint; its step, None when there is none."""
    newest = store.newest()
    if newest is None:
        return None
    saved, snapshot = newest
    store.drop_after(saved.step)
    experiment.learner.restore(snapshot)
    selection.restore(snapshot.numbers["job"]["selection"])
    return saved.step


@contextlib.contextmanager
def _open_metrics(attempt: Attempted, recipe: Recipe, step: int) -> Iterator[MetricsWriter]:
    """metrics.jsonl, cut back to `step`, with its listeners."""
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


def _record(attempt: Attempted, experiment: Experiment, recipe: Recipe, parts: dict[str, Any]) -> bool:
    """Compare with the attempt before, and write down what this one runs on: whether that has changed.

    RunError when a change isn't accepted.
    """
    run = attempt.run
    request, code, host = AttemptRequest.read(run), running_code(), this_host()
    found = changes(run, code, experiment.hashes)
    if found and not request.accept_changes:
        raise RunError(refusal(run, found, experiment.learner.done))
    other_host = host_changes(run, host) if parts["resumed_from"] is not None else []
    for change in found:
        attempt.warn(f"goes on under a change of {change}")
    for line in other_host:
        attempt.warn(f"another machine than before, equal bits are not promised: {line}")
    identity = identity_of(recipe)
    parts = parts | {
        "command": list(request.command),
        "folder": request.folder,
        "job": attempt.lock.owner.job,
        "pid": attempt.lock.owner.pid,
        "accepted": [attrs.asdict(change) for change in found],
        "other_host": other_host,
        "exact": not found and not other_host,
        "execution": identity.execution,
        "evaluation": identity.evaluation,
    }
    from asr_lab.compiler.inputs import hash_of_sets

    hashes = experiment.hashes | ({"test": hash_of_sets(experiment.test)} if experiment.test else {})
    attempt.lock.check()
    add_provenance(run, record_attempt(attempt.lock.attempt, code, hashes, host, parts))
    return bool(found)


def _score(
    attempt: Attempted, experiment: Experiment, recipe: Recipe, store: CheckpointStore, selection: Selection
) -> None:
    """Score the test sets with the chosen weights, and end the run."""
    from asr_lab.evaluation.page import write_report
    from asr_lab.runs.job.validation import score_test

    run, step = attempt.run, experiment.learner.progress.step
    chosen = _choose(attempt, store, selection, step)
    reads, results = 0, []
    if experiment.test:
        attempt.lock.check()  # the sets are not read by one that was overtaken
        events = read_events(run.events_file)
        reads = 1 + sum(e.kind == "state" and e.data.get("state") == "scoring" for e in events)
        attempt.events.write("state", {"state": "scoring", "step": step, "share": 1.0, "read": reads})
        if chosen != step:
            experiment.learner.load(store.find(str(chosen)))
        about = {"run": run.name, "step": chosen, "attempt": attempt.lock.attempt, "read": reads}
        about["trained_on"] = experiment.left_out.record()
        results = score_test(experiment, recipe, run.eval, about, attempt.lock.check)
    write_report(attempt.run.path)
    attempt.lock.check()
    found = {"chosen": chosen, "metric": selection.metric, "best": selection.best, "best_step": selection.best_step}
    attempt.events.write("done", {"step": step, **found, "reads": reads, "results": results})


def _choose(attempt: Attempted, store: CheckpointStore, selection: Selection, step: int) -> int:
    """The step whose weights are scored: the best, or where its checkpoint is damaged or gone the next best."""
    if selection.best_step is None or selection.best_step == step:
        return step
    try:
        store.find(str(selection.best_step))
    except CheckpointError as error:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the run's own warning follows
            try:
                chosen = int(store.find("best").name.removeprefix("step-"))
            except CheckpointError:
                chosen = step  # its own weights
        attempt.warn(
            f"the best weights, of step {selection.best_step}, are lost: {error}; scored are those of {chosen}"
        )
        return chosen
    return selection.best_step


@contextlib.contextmanager
def _errors_told(events: EventWriter) -> Iterator[None]:
    """Write down what ends an attempt, for those who watch from elsewhere, and let it pass."""
    try:
        yield
    except (LabError, TrainingError) as error:
        _tell(events, error, 2 if isinstance(error, LabError) else 1)
        raise
    except OSError as error:
        if not is_of_environment(error):
            _tell(events, error, 1, traceback.format_exc())
            raise
        told = of_environment(error)
        _tell(events, told, 2)
        raise told from error
    except Exception as error:
        _tell(events, error, 1, traceback.format_exc())
        raise


def _tell(events: EventWriter, error: Exception, code: int, trace: str = "") -> None:
    message = f"{type(error).__name__}: {error}" if trace else str(error)
    record = {"message": message, "type": type(error).__name__, "exit": code}
    with contextlib.suppress(OSError):  # a full disk holds no record either; the error itself goes on
        events.write("error", record | ({"traceback": trace} if trace else {}))
