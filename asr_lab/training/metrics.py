"""metrics.jsonl: one line of JSON per logged step, and those who listen to it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from asr_lab.training.checkpoint import sync

_TEMPORARY = ".cutting"


class MetricsListener(Protocol):
    """Gets every record that is written, as it is written."""

    def record(self, record: Mapping[str, Any]) -> None:
        """A new record; it has `step`."""

    def close(self) -> None:
        """There will be no more."""


class MetricsWriter:
    """Appends records to a file and passes them on.

    Each record goes out in one write, so a kill tears the last line at most; opening the file mends that. Numbers that
    are not finite become null.
    """

    def __init__(self, path: Path, listeners: Sequence[MetricsListener] = ()) -> None:
        self.path = path
        self.listeners = tuple(listeners)
        path.parent.mkdir(parents=True, exist_ok=True)
        _mend(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record; it must have `step`."""
        if "step" not in record:
            raise ValueError("a record of metrics needs a step")
        plain = {key: _plain(value) for key, value in record.items()}
        line = (json.dumps(plain, ensure_ascii=False) + "\n").encode()
        while line:
            line = line[os.write(self._descriptor, line) :]
        for listener in self.listeners:
            listener.record(plain)

    def sync(self) -> None:
        """Put what was written on the disk: before a checkpoint, so that it never knows of steps that are not here."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """No more records."""
        os.close(self._descriptor)
        for listener in self.listeners:
            listener.close()


def cut_back(path: Path, step: int) -> int:
    """Remove the records after `step`, and lines that are not records: how many. Not while a writer has it open."""
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith(b"\n") and _step(line) is not None and (_step(line) or 0) <= step]
    if len(kept) < len(lines):
        temporary = path.with_name(path.name + _TEMPORARY)
        temporary.write_bytes(b"".join(kept))
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    return len(lines) - len(kept)


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The records, oldest first; a torn last line is left out. Safe while a writer appends."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and _step(line) is not None:
                yield json.loads(line)


def _mend(path: Path) -> None:
    # What stands after the last newline was torn by a kill.
    if path.exists() and (data := path.read_bytes()) and not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)


def _step(line: bytes) -> int | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    step = record.get("step") if isinstance(record, dict) else None
    return step if isinstance(step, int) else None


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
