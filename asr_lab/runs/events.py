"""What happened in a run, as it happens: one JSON record a line, appended whole."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import attrs

Kind = Literal["state", "step", "valid", "warning", "error", "done"]


@attrs.frozen
class Event:
    """One record: its attempt, when it was written (seconds since 1970), its kind, and what it says."""

    attempt: int
    time: float
    kind: str
    data: dict[str, Any]


class EventWriter:
    """Appends the records of one attempt. A line that a killed attempt left torn is closed first."""

    def __init__(self, path: Path, attempt: int) -> None:
        self.attempt = attempt
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def write(self, kind: Kind, data: Mapping[str, Any] | None = None) -> None:
        """Append a record; `data` is JSON, and has no keys `attempt`, `time`, `kind`."""
        record = {"attempt": self.attempt, "time": round(time.time(), 3), "kind": kind, **(data or {})}
        os.write(self._file, (json.dumps(record, ensure_ascii=False) + "\n").encode())
        if kind in ("error", "done"):
            os.fsync(self._file)

    def close(self) -> None:
        """End writing."""
        os.close(self._file)

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventReader:
    """Follows a run's events: each `read` gives what was written since the last one.

    A line without its end is left for later; one that is not a record (torn by a kill) is passed over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0

    def read(self) -> list[Event]:
        """The whole records after those read before; none while there is no file."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        return [event for line in whole.splitlines() if (event := _parse(line)) is not None]


def read_events(path: Path) -> list[Event]:
    """All records of a file of events."""
    return EventReader(path).read()


def _parse(line: bytes) -> Event | None:
    try:
        record = json.loads(line)
        if not isinstance(record, dict):
            return None
        return Event(record.pop("attempt"), record.pop("time"), record.pop("kind"), record)
    except (ValueError, KeyError):
        return None
