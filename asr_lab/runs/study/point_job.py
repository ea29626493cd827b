"""What a study asks of a job that trains one of its points, and of the place that starts such jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.status import RunStatus


class JobEnd(NamedTuple):
    """A job that is over, and what is known of it beside what the run tells."""

    reason: str
    """Why, where the run does not say so itself."""
    is_elsewhere: bool = False
    """Whether it found the run in another process's hands."""


class PointJob(Protocol):
    """A job that trains one point."""

    @property
    def since(self) -> int:
        """The newest attempt when it was started."""

    def end(self, status: RunStatus) -> JobEnd | None:
        """How it ended; None while it goes on. The run's events are read after this: they are all there then."""

    def stop(self) -> None:
        """Ask it to save and end."""

    def close(self) -> None:
        """Let go of it."""


class JobPlace(Protocol):
    """Where jobs are started."""

    @property
    def outlives_the_study(self) -> bool:
        """Whether jobs go on when the study ends."""

    def num_free(self, num_active: int, num_waiting: int) -> int:
        """How many jobs more may be started beside those at work."""

    def start(self, runs: Sequence[tuple[RunDirectory, Path]]) -> list[PointJob]:
        """Start a job for each run from the snapshot of its code. LabError where none could be."""

    def taken_up(self, run: RunDirectory) -> PointJob | None:
        """The job that an earlier study left at work on a run; None where there is none."""
