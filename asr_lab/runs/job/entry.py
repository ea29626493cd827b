"""The job: everything that happens in a run's directory, from its lock to its scores. It is given a path, nothing else.

What decides how training goes on is in the checkpoint. A job killed anywhere starts again from its last whole
checkpoint and does the same once more.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.devices import num_workers, threads_beside
from asr_lab.errors import LabError, RunError, TrainingError
from asr_lab.runs.code_snapshot import running_code
from asr_lab.runs.directory import RunDirectory, identity_of
from asr_lab.runs.events import EventWriter, read_events
from asr_lab.runs.job.attempt import Attempted
from asr_lab.runs.job.fit import Fit
from asr_lab.runs.job.selection import Selection
from asr_lab.runs.job.stopping import INTERRUPTED, Stopper
from asr_lab.runs.lock import RunLock
from asr_lab.runs.provenance import add_provenance, changes, host_changes, record_attempt, refusal, this_host
from asr_lab.runs.request import AttemptRequest

if TYPE_CHECKING:
    from asr_lab.compiler.build import Experiment
    from asr_lab.recipe import Recipe
    from asr_lab.training.metrics import MetricsWriter
    from asr_lab.training.store import CheckpointStore

JOB_VARIABLES = ("SLURM_JOB_ID", "SUBMITIT_LOCAL_JOB_ID")
LOCK_WAIT_S = 90.0
"""Patience with an owner on another machine whose heart may have stopped."""


def main(folder: str) -> int:
    """Train and score the run in `folder`, from wherever it stands; the exit code: 0, or 130 when asked to stop.

    Raises LabError for what the user can fix and TrainingError for a run that failed; events.jsonl has them too.
    """
    run = RunDirectory(Path(folder))
    _refuse_several_processes()
    job = next((os.environ[name] for name in JOB_VARIABLES if name in os.environ), "")
    with (
        Stopper() as stop,
        RunLock.take(run.lock, job, LOCK_WAIT_S) as lock,
        EventWriter(run.events_file, lock.attempt) as events,
        _errors_told(events),
    ):
        return 0 if _work(Attempted(run, lock, events, stop)) else INTERRUPTED


def _work(attempt: Attempted) -> bool:
    """Build, train what is left to train, score the test sets; False when it was asked to end before."""
    from asr_lab.compiler.build import build
    from asr_lab.training.determinism import apply_determinism
    from asr_lab.training.store import CheckpointStore

    attempt.events.write("state", {"state": "building"})
    run = attempt.run
    document = run.document()
    recipe = document.value
    _share_processors(recipe)
    experiment = build(document, run.path)
    determinism = apply_determinism(recipe.determinism.level, experiment.learner.device)
    store = CheckpointStore(run.checkpoints, recipe.train.keep_last)
    store.clean()
    selection = Selection(recipe.train.metric, recipe.train.patience)
    resumed = _resume(store, selection, experiment)
    parts = {"resumed_from": resumed, "determinism": determinism, "init": _lineage(experiment)}
    _record(attempt, experiment, recipe, parts)
    for cut in experiment.bad:
        attempt.warn_of(cut)
    with _open_metrics(run, recipe, resumed or 0) as metrics:
        if not Fit(attempt, experiment, recipe, store, selection, metrics).train():
            return False
    _score(attempt, experiment, recipe, store, selection)
    return True


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
def _open_metrics(run: RunDirectory, recipe: Recipe, step: int) -> Iterator[MetricsWriter]:
    """metrics.jsonl, cut back to `step`, with its listeners."""
    from asr_lab.training.listeners import open_listener
    from asr_lab.training.metrics import MetricsWriter, cut_back

    cut_back(run.metrics_file, step)
    identity = run.resolved()["hash"]
    listeners = [open_listener(kind, run.path, run.name, identity, step) for kind in recipe.log.listeners]
    writer = MetricsWriter(run.metrics_file, listeners)
    try:
        yield writer
    finally:
        writer.close()


def _record(attempt: Attempted, experiment: Experiment, recipe: Recipe, parts: dict[str, Any]) -> None:
    """Compare with the attempt before, and write down what this one runs on; RunError when a change isn't accepted."""
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
    add_provenance(run, record_attempt(attempt.lock.attempt, code, experiment.hashes, host, parts))


def _score(
    attempt: Attempted, experiment: Experiment, recipe: Recipe, store: CheckpointStore, selection: Selection
) -> None:
    """Score the test sets with the chosen weights, and end the run."""
    from asr_lab.evaluation.page import write_report
    from asr_lab.runs.job.validation import score_test

    run, step = attempt.run, experiment.learner.progress.step
    chosen = step if selection.best_step is None else selection.best_step
    reads, results = 0, []
    if experiment.test:
        events = read_events(run.events_file)
        reads = 1 + sum(e.kind == "state" and e.data.get("state") == "scoring" for e in events)
        attempt.events.write("state", {"state": "scoring", "step": step, "share": 1.0, "read": reads})
        if chosen != step:
            experiment.learner.load(store.find(str(chosen)))
        about = {"run": run.name, "step": chosen, "attempt": attempt.lock.attempt, "read": reads}
        results = score_test(experiment, recipe, run.eval, about)
    attempt.lock.check()
    write_report(attempt.run.path)
    found = {"chosen": chosen, "metric": selection.metric, "best": selection.best, "best_step": selection.best_step}
    attempt.events.write("done", {"step": step, **found, "reads": reads, "results": results})


def _refuse_several_processes() -> None:
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        raise RunError(f"WORLD_SIZE is {world}: one process trains a run ([parallel] type = single); start one alone")


@contextlib.contextmanager
def _errors_told(events: EventWriter) -> Iterator[None]:
    """Write down what ends an attempt, for those who watch from elsewhere, and let it pass."""
    try:
        yield
    except (LabError, TrainingError) as error:
        code = 2 if isinstance(error, LabError) else 1
        events.write("error", {"message": str(error), "type": type(error).__name__, "exit": code})
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        events.write("error", {"message": message, "exit": 1, "traceback": traceback.format_exc()})
        raise
