"""The end of a run: its chosen weights are scored on the test sets, once."""

from __future__ import annotations

import signal
import warnings
from typing import TYPE_CHECKING

from asr_lab.errors import CheckpointError
from asr_lab.runs.events import read_events
from asr_lab.runs.job.attempt import Attempted
from asr_lab.runs.job.selection import Selection
from asr_lab.runs.job.stopping import StopNow, ending, reason_of

if TYPE_CHECKING:
    from asr_lab.compiler.build import Experiment
    from asr_lab.recipe import Recipe
    from asr_lab.training.store import CheckpointStore


def score_run(
    attempt: Attempted, experiment: Experiment, recipe: Recipe, store: CheckpointStore, selection: Selection
) -> bool:
    """Score the test sets and end the run; False when it was asked to end before that was done."""
    from asr_lab.recognition.transcribe_set import InterruptedDecodingError

    step = experiment.learner.progress.step
    try:
        if attempt.group.world.size == 1:
            attempt.stop.raise_from_now()  # trained and saved: a time limit need not wait for the scores
        _score(attempt, experiment, recipe, store, selection)
    except (StopNow, InterruptedDecodingError):
        if attempt.writes:
            end = ending(attempt.stop.reason or reason_of(signal.SIGTERM))
            attempt.events.write("state", {"state": end.state, "step": step, "reason": end.reason})
        return False
    return True


def _score(
    attempt: Attempted, experiment: Experiment, recipe: Recipe, store: CheckpointStore, selection: Selection
) -> None:
    """Score the test sets with the chosen weights, and end the run."""
    from asr_lab.evaluation.page import write_report
    from asr_lab.runs.job.validation import score_test

    run, group, step = attempt.run, attempt.group, experiment.learner.progress.step
    chosen = group.first(lambda: _choose(attempt, store, selection, step), "choosing weights")
    reads, results = 0, []
    if experiment.test:
        attempt.lock.check()  # the sets are not read by one that was overtaken
        events = read_events(run.events_file)
        reads = 1 + sum(e.kind == "state" and e.data.get("state") == "scoring" for e in events)
        attempt.events.write("state", {"state": "scoring", "step": step, "share": 1.0, "read": reads})
        if chosen != step:
            experiment.learner.load(store.folder / f"step-{chosen:08d}")
        about = {"run": run.name, "step": chosen, "attempt": attempt.lock.attempt, "read": reads}
        about["trained_on"] = experiment.left_out.record()
        stop = (lambda: attempt.stop.number) if group.world.size > 1 else (lambda: 0)
        results = score_test(experiment, recipe, run.eval, about, attempt.lock.check, group, stop)
    if not attempt.writes:
        return
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
