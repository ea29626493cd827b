"""What a run's events add up to: where it stands, how good it is, when it will be done."""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

import attrs

from asr_lab.errors import RunError
from asr_lab.evaluation.evaluation_files import rates_of
from asr_lab.evaluation.page import TRAINED
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.events import Event, read_events
from asr_lab.runs.jobs import JobWatch, watch_of
from asr_lab.runs.lock import Attempt, Liveness, last_attempt

State = Literal["new", "queued", "running", "finished", "stopped", "failed", "dead"]
ENDS = ("done", "stopped", "failed")
"""Phases after which an attempt writes nothing more."""


NUMBER = (int, float)
OPTIONAL = (*NUMBER, type(None))
SHAPES: dict[str, dict[str, tuple[type, ...]]] = {
    "state": {"state": (str,)},
    "step": {"step": (int,), "epoch": (int,), "share": NUMBER, "loss": OPTIONAL, "audio_s_per_s": OPTIONAL},
    "valid": {"metric": (str,), "value": NUMBER, "best": OPTIONAL, "best_step": (int, type(None))},
    "warning": {"message": (str,)},
    "error": {"message": (str,)},
    "done": {},
}
"""What each kind of record must have."""
MAY_HAVE: dict[str, tuple[type, ...]] = {
    "step": (int,),
    "share": NUMBER,
    "reason": (str,),
    "traceback": (str,),
    "exit": (int,),
    "utterances": (dict,),
    "languages": (dict,),
}
"""What any record may have."""


@attrs.define
class RunStatus:
    """The events so far, folded into one picture."""

    attempt: int = 0
    phase: str = ""
    """`building`, `training`, `validating`, `scoring`, `requeued`; or how it ended: `done`, `stopped`, `failed`."""
    step: int = 0
    epoch: int = 0
    share: float = 0.0
    """Share of the training done, 0..1."""
    loss: float | None = None
    audio_s_per_s: float | None = None
    """Seconds of audio trained on per second."""
    metric: str = "wer"
    """What selection looks at: `wer` or `cer`."""
    valid: float | None = None
    """The last validation's error rate, as a fraction."""
    languages: dict[str, float] = attrs.field(factory=dict)
    """The error rate of each language in the last validation, where it had several."""
    best: float | None = None
    best_step: int | None = None
    error: dict[str, Any] | None = None
    """`message`, and `exit`, the command's exit code."""
    result: dict[str, Any] | None = None
    """What the record `done` says."""
    reason: str = ""
    """Why it stopped."""
    ended_by: str = ""
    """What ended training: a limit, or patience."""
    notes: list[str] = attrs.field(factory=list)
    """Warnings of this attempt."""
    utterances: dict[str, Any] | None = None
    """What training had: utterances `used`, those `given`, and what was `left_out` by reason."""
    time: float = 0.0
    """Of the last event, seconds since 1970."""
    job: str = ""
    """Where its job waits, in the scheduler's words; "" where it does not."""
    _pace: deque[tuple[float, float]] = attrs.field(factory=lambda: deque(maxlen=100), init=False)

    def add(self, event: Event) -> None:
        """Take in the next record; RunError where it lacks something, or has it of another kind."""
        if event.attempt < self.attempt:
            return  # written by one that was overtaken
        wrong = [key for key, kinds in SHAPES.get(event.kind, {}).items() if not _is(event.data.get(key), kinds)]
        wrong += [key for key, kinds in MAY_HAVE.items() if key in event.data and not _is(event.data[key], kinds)]
        if event.kind == "done" and not _are_scores(event.data.get("results", [])):
            wrong.append("results")
        rates = event.data.get("languages")
        if isinstance(rates, dict) and not all(_is(rate, NUMBER) for rate in rates.values()):
            wrong.append("languages")
        if wrong:
            raise RunError(f"no usable {', '.join(wrong)} in a record of {event.kind}")
        if event.attempt > self.attempt:
            self.attempt, self.error, self.result, self.reason, self.notes = event.attempt, None, None, "", []
            self.loss, self.audio_s_per_s = None, None
            self._pace.clear()
        self.time = event.time
        data = event.data
        self.step = data.get("step", self.step)
        match event.kind:
            case "state":
                self.phase = data["state"]
                self.share = data.get("share", self.share)
                self.reason = data.get("reason", "")
                if self.phase == TRAINED:
                    self.ended_by, self.utterances = self.reason, data.get("utterances")
            case "step":
                self.phase = "training"
                self.epoch, self.share = data["epoch"], data["share"]
                self.loss, self.audio_s_per_s = data["loss"], data["audio_s_per_s"]
                self._pace.append((event.time, self.share))
            case "valid":
                self.metric, self.valid = data["metric"], data["value"]
                self.best, self.best_step = data["best"], data["best_step"]
                self.languages = data.get("languages", {})
            case "warning":
                self.notes += [] if "cut" in data else [data["message"]]  # runs from before named each utterance
            case "error":
                self.phase, self.error = "failed", data
            case "done":
                self.phase, self.result, self.share = "done", data, 1.0

    @property
    def ended(self) -> bool:
        """Whether the newest attempt has written its last record."""
        return self.phase in ENDS

    @property
    def eta_s(self) -> float | None:
        """Seconds until training is done, at the pace of the last steps; validations are counted in."""
        if len(self._pace) < 2:
            return None
        (then, before), (now, share) = self._pace[0], self._pace[-1]
        return None if share <= before or now <= then else (1.0 - share) * (now - then) / (share - before)


def _are_scores(content: object) -> bool:
    """Whether they are scores as a finished run's record repeats them."""
    return isinstance(content, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and all(isinstance(rate, dict) and _is(rate.get("value"), NUMBER) for rate in rates_of(one).values())
        for one in content
    )


def _is(value: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def status_of(run: RunDirectory) -> RunStatus:
    """The status of a run; RunError when a record lacks something."""
    status = RunStatus()
    try:
        events = read_events(run.events_file)
    except OSError as error:
        raise RunError(f"{run.events_file} cannot be read: {error.strerror}") from error
    for event in events:
        try:
            status.add(event)
        except RunError as error:
            raise RunError(f"{run.events_file} is damaged: {error}") from error
    return status


def state_of(run: RunDirectory, status: RunStatus, watch: JobWatch | None = None) -> tuple[State, Attempt | None]:
    """A run's state, and the attempt that holds it as far as one look tells.

    The scheduler is asked where the run's own directory does not tell; `watch` is the watch over its job, if any.
    """
    holder, newest = Liveness(run.lock).holder(), last_attempt(run.lock)
    has_ended = newest is not None and status.attempt == newest.number and status.ended
    if holder is not None and holder.owner.is_here:
        return "running", holder
    watch = watch_of(run) if watch is None else watch
    asked = watch is not None and not (has_ended and status.attempt > watch.job.since)
    is_alive = watch is not None and asked and watch.look().is_alive
    if holder is not None and (is_alive or watch is None or not asked or holder.owner.job not in watch.job.ids):
        return "running", holder
    if is_alive:
        return "queued", None
    if newest is None or not has_ended:
        return ("new" if newest is None and not asked else "dead"), None
    states: dict[str, State] = {"done": "finished", "stopped": "stopped", "failed": "failed"}
    return states[status.phase], None
