"""A point while its study goes on: the run it has, and how that stands, read from the run's events."""

from __future__ import annotations

import math
from typing import Literal

import attrs

from asr_lab.errors import RunError
from asr_lab.files import number_of
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.events import Event, EventReader
from asr_lab.runs.status import RunStatus
from asr_lab.runs.study.points import StudyPoint
from asr_lab.training.rank import Rank

State = Literal["waiting", "running", "elsewhere", "paused", "finished", "stopped", "failed"]
"""`elsewhere`: another command trains it; `paused`: at a rung; `stopped`: asked to end, and saved."""
OPEN: tuple[State, ...] = ("waiting", "paused", "stopped")
"""What may be trained on."""


@attrs.frozen
class RungValue:
    """What a run had reached by a validation."""

    step: int
    share: float | None
    """Of the training, 0..1; None where a run from before did not write it down."""
    rank: Rank


@attrs.define(eq=False)
class TrackedPoint:
    """A point of a study and its run."""

    point: StudyPoint
    run: RunDirectory | None = None
    """None while there is none."""
    state: State = "waiting"
    reason: str = ""
    """Why it failed or was stopped."""
    dropped: str = ""
    """At which rung it was left behind; "" = it was not."""
    status: RunStatus = attrs.field(factory=RunStatus)
    _reader: EventReader | None = attrs.field(default=None, init=False)
    _values: dict[int, RungValue] = attrs.field(factory=dict, init=False)

    def take(self, run: RunDirectory) -> None:
        """Give it its run."""
        if self.run is None:
            self.run, self._reader = run, EventReader(run.events_file)

    def refresh(self) -> None:
        """Read what the run has told since; a damaged record is its failure."""
        if self._reader is None:
            return
        for event in self._reader.read():
            try:
                self.status.add(event)
            except RunError as error:
                self.fail(f"{self._reader.path} is damaged: {error}")
                return
            if event.kind == "valid" and (found := _value(event)) is not None:
                self._values[found.step] = found

    def fail(self, reason: str) -> None:
        """It is not trained on, for this reason."""
        self.state, self.reason = "failed", reason.strip()

    def at(self, share: float) -> Rank | None:
        """The best validation up to the first that is due at a share of the training; None where it has not come so
        far.

        A function of what the run wrote down: a study that is started again decides as before.
        """
        values = [self._values[step] for step in sorted(self._values)]
        last = self.status.step if self.state == "finished" else 0
        shares = [one.share if one.share is not None else one.step / last if last else 0.0 for one in values]
        end = next((place for place, one in enumerate(shares) if one >= share), None)
        if end is None:
            return min((one.rank for one in values), default=None) if self.state == "finished" else None
        return min(one.rank for one in values[: end + 1])


def _value(event: Event) -> RungValue | None:
    value, share = number_of(event.data.get("value")), number_of(event.data.get("share"))
    step, ties = event.data.get("step"), [event.data.get("cer"), event.data.get("loss")]
    if value is None or not isinstance(step, int):
        return None
    return RungValue(step, share, Rank.of(math.inf if math.isnan(value) else value, ties))
