"""The loop around the learner's steps: log, validate, select, save, stop, in this order after each step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from asr_lab.data.left_out import Split, append_row
from asr_lab.data.utterance import BadCut
from asr_lab.errors import DataError
from asr_lab.evaluation.page import TRAINED
from asr_lab.runs.job.selection import Selection
from asr_lab.runs.job.stopping import ending, reason_of
from asr_lab.runs.job.validation import validate
from asr_lab.text.normalizer import Normalizer
from asr_lab.training.rank import Rank

if TYPE_CHECKING:
    from asr_lab.compiler.build import Experiment
    from asr_lab.recipe import Recipe
    from asr_lab.runs.job.attempt import Attempted
    from asr_lab.runs.job.elsewhere import Metrics
    from asr_lab.training.report import StepReport
    from asr_lab.training.store import CheckpointStore

STEP_EVENT_S = 0.5
"""Step events are for watching: at most two a second. metrics.jsonl holds every logged step."""


@attrs.define
class Fit:
    """Training, from wherever the learner stands to its limits or to the end of patience."""

    attempt: Attempted
    experiment: Experiment
    recipe: Recipe
    store: CheckpointStore
    selection: Selection
    metrics: Metrics
    pause_share: float | None = None
    """Share of the training at which it ends early, where a validation is due and more is to come."""
    is_paused: bool = attrs.field(default=False, init=False)
    """Whether it ended there."""
    _saved_step: int | None = attrs.field(default=None, init=False)
    _told_at: float = attrs.field(default=0.0, init=False)
    _share: float = attrs.field(default=0.0, init=False)
    _num_told: int = attrs.field(init=False)
    """Utterances of those left out that were told of."""

    @_num_told.default
    def _num_told_before_training(self) -> int:
        return len(self.experiment.left_out)

    def train(self) -> bool:
        """Take the steps that are left; False when a signal or a pause ended it before, with all saved."""
        if self.step:
            self._saved_step = self.step
        self._say("training")
        if not self.selection.is_over:
            for report in self.experiment.learner.steps():
                self._log(report)
                is_due = self._is_validation_due()
                rank = self._validate() if is_due else None
                if is_due or self._is_save_due():
                    self._save(rank)
                stop = report.stop or (self._agreed_stop() if self._saved_step == self.step else 0)
                if stop:
                    self._end_early(reason_of(stop))
                    return False
                if self.selection.is_over:
                    break
                if is_due and self._is_pause_due():
                    self.is_paused = True
                    self._end_early(f"the sweep, at {self.experiment.learner.share:.0%} of the training")
                    return False
        rank = self._validate() if self.step != self.selection.step else None
        if rank is not None or self.step != self._saved_step:
            self._save(rank)
        self._tell_left_out()
        record = {"state": TRAINED, "step": self.step, "share": 1.0, "reason": self._end()}
        self.attempt.events.write("state", {**record, "utterances": self.experiment.left_out.record()})
        return True

    def _agreed_stop(self) -> int:
        """The signal that any rank was given while it validated or saved."""
        return self.experiment.learner.strategy.agree(self.attempt.stop.number, 0.0, f"step {self.step}: after saving")[
            0
        ]

    def _end(self) -> str:
        """What ended training."""
        if not self.selection.is_over:
            return f"train.{self.experiment.learner.limits.reached(self.experiment.learner.progress)}"
        what = f"{self.selection.patience} validations without a better one"
        return f"train.patience: {what}, at step {self.step:,} ({self._share:.0%} of the limit)"

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self.experiment.learner.progress.step

    def _is_validation_due(self) -> bool:
        every = self.recipe.train.valid_every_steps
        if every is None:
            return self.experiment.learner.progress.epoch_step == 0  # an epoch has just ended
        return self.step % every == 0

    def _is_pause_due(self) -> bool:
        """Whether the run is to wait here: what would be done without a pause is done, so that none can be told."""
        learner = self.experiment.learner
        return self.pause_share is not None and self.pause_share <= learner.share and not learner.done

    def _is_save_due(self) -> bool:
        every = self.recipe.train.save_every_steps
        return every is not None and self.step % every == 0

    def _validate(self) -> Rank | None:
        """How good the weights are that would be kept; None without validation sets."""
        if not self.experiment.valid:
            return None
        self._say("validating")
        began = time.monotonic()
        group = self.attempt.group
        found = validate(self.experiment, Normalizer(self.recipe.text.steps), self.selection.metric, group)
        for data in self.experiment.valid:
            self._leave_out(data.bad, "valid")
        self._tell_left_out()
        rank = found.rank
        self.attempt.lock.check()
        is_best = self.selection.take(self.step, rank)
        if is_best and self.attempt.writes:
            found.write(self.attempt.run.eval)
        record = {
            "step": self.step,
            "share": self.experiment.learner.share,
            "metric": self.selection.metric,
            "value": rank.value,
            "is_best": is_best,
        }
        record |= {"sets": found.sets, **dict(zip(("cer", "loss"), rank.ties(), strict=True))}
        record |= {"best": self.selection.best, "best_step": self.selection.best_step}
        record |= {"languages": found.languages} if found.languages else {}
        self.metrics.tell(found.metrics(self.step, self.selection.metric))
        self.attempt.events.write("valid", {**record, "seconds": round(time.monotonic() - began, 3)})
        self._say("training")
        return rank

    def _save(self, rank: Rank | None) -> None:
        """Have the state written, by each rank its part of it."""
        self.attempt.group.first(self._check_before_saving, "saving")
        snapshot = self.experiment.learner.snapshot()
        self.store.save(snapshot, rank=rank, job={"selection": self.selection.state()})
        self._saved_step = self.step

    def _check_before_saving(self) -> None:
        self.attempt.lock.check()
        self.metrics.sync()

    def _end_early(self, reason: str) -> None:
        if self.step != self._saved_step:
            self._save(None)
        if self.attempt.writes:
            end = ending(reason)
            self.attempt.events.write("state", {"state": end.state, "step": self.step, "reason": end.reason})

    def _log(self, report: StepReport) -> None:
        self._share = report.share
        if report.step % self.recipe.log.every_steps == 0 or report.skipped:
            self.metrics.write(report.record())
        self._leave_out(report.bad, "train")
        if report.skipped:
            self.attempt.warn(f"step {report.step} is skipped: {report.cause}")
        if time.monotonic() - self._told_at >= STEP_EVENT_S:
            self._told_at = time.monotonic()
            record = {key: getattr(report, key) for key in ("step", "epoch", "loss", "lr", "audio_s_per_s", "share")}
            record[f"audio_h_per_{report.unit}_h"] = report.audio_h_per_unit_h
            self.attempt.events.write("step", record)

    def _leave_out(self, cuts: Sequence[BadCut], split: Split) -> None:
        """List utterances that showed to be unusable when they were read, once; DataError when they are too many."""
        left_out, path = self.experiment.left_out, self.attempt.run.left_out_file
        rows = [row for cut in cuts if (row := left_out.add(cut, split)) is not None]
        for row in rows if self.attempt.writes else ():
            append_row(path, row)
        if rows and (problem := left_out.excess(self.recipe.data.max_left_out, path)):
            raise DataError(problem)

    def _tell_left_out(self) -> None:
        """One line where reading has found more of them since the last."""
        if len(self.experiment.left_out) > self._num_told:
            self._num_told = len(self.experiment.left_out)
            self.attempt.warn_of_left_out(self.experiment.left_out)

    def _say(self, state: str) -> None:
        self.attempt.events.write("state", {"state": state, "step": self.step, "share": self._share})
