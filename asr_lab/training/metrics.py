"""metrics.jsonl: one line of JSON per logged step, and its listeners."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from asr_lab.files import JsonAppender, json_record, read_jsonl, write_bytes


class MetricsListener(Protocol):
    """Gets every record that is written, as it is written."""

    def record(self, record: Mapping[str, Any]) -> None:
        """A new record; it has `step`."""

    def close(self) -> None:
        """There will be no more."""


class MetricsWriter:
    """Appends records to a file and passes them on.

    Each record goes out in one write, so a kill tears the last line at most. Numbers that are not finite become null.
    """

    def __init__(self, path: Path, listeners: Sequence[MetricsListener] = ()) -> None:
        self.path = path
        self.listeners = tuple(listeners)
        self._file = JsonAppender(path, alone=True)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record; it must have `step`."""
        if "step" not in record:
            raise ValueError("a record of metrics needs a step")
        self._file.write({key: _plain(value) for key, value in record.items()})
        self.tell(record)

    def tell(self, record: Mapping[str, Any]) -> None:
        """Pass a record on that another file keeps; it too must have `step`."""
        plain = {key: _plain(value) for key, value in record.items()}
        for listener in self.listeners:
            listener.record(plain)

    def sync(self) -> None:
        """Put what was written on the disk: before a checkpoint, so that it never knows of steps that are not here."""
        self._file.sync()

    def close(self) -> None:
        """No more records."""
        self._file.close()
        for listener in self.listeners:
            listener.close()


def cut_back(path: Path, step: int) -> int:
    """Remove the records after `step`, and lines that are not records: how many.

    The file is another one afterwards: what a writer that has it open still appends goes nowhere.
    """
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [
        line for line in lines if line.endswith(b"\n") and (at := _step(json_record(line))) is not None and at <= step
    ]
    write_bytes(path, b"".join(kept))
    return len(lines) - len(kept)


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The records, oldest first; a torn last line is left out. Safe while a writer appends."""
    return (record for record in read_jsonl(path) if _step(record) is not None)


def _step(record: Mapping[str, Any] | None) -> int | None:
    step = None if record is None else record.get("step")
    return step if isinstance(step, int) else None


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
