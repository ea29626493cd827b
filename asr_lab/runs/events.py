"""What happened in a run, as it happens: one JSON record a line, appended whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import attrs

from asr_lab.files import JsonAppender, JsonFollower

Kind = Literal["state", "step", "valid", "warning", "error", "done"]


@attrs.frozen
class Event:
    """One record: its attempt, when it was written (seconds since 1970), its kind, and what it says."""

    attempt: int
    time: float
    kind: str
    data: dict[str, Any]


class EventWriter:
    """Appends the records of one attempt."""

    def __init__(self, path: Path, attempt: int) -> None:
        self.attempt = attempt
        self._file = JsonAppender(path)

    def write(self, kind: Kind, data: Mapping[str, Any] | None = None) -> None:
        """Append a record; `data` is JSON, and has no keys `attempt`, `time`, `kind`."""
        record = {"attempt": self.attempt, "time": round(time.time(), 3), "kind": kind, **(data or {})}
        self._file.write(record, synced=kind in ("error", "done"))

    def close(self) -> None:
        """End writing."""
        self._file.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventReader:
    """Follows a run's events: each `read` gives what was written since the last one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = JsonFollower(path)

    def read(self) -> list[Event]:
        """The whole records after those read before; none while there is no file."""
        return [event for record in self._file.read() if (event := _event(record)) is not None]


def read_events(path: Path) -> list[Event]:
    """All records of a file of events."""
    return EventReader(path).read()


def _event(record: dict[str, Any]) -> Event | None:
    try:
        return Event(int(record.pop("attempt")), float(record.pop("time")), str(record.pop("kind")), record)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
