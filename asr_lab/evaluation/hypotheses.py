"""Hypotheses on disk: what a model said of each utterance, beside what was said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from asr_lab.errors import DataError


def write_hypotheses(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write one JSON record a line; readers see the old file or the new."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    temporary.replace(path)


def read_hypotheses(path: Path) -> list[dict[str, Any]]:
    """The records of a file of hypotheses; DataError with the line that is not one."""
    return list(_records(path))


def _records(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"hypotheses cannot be read: {path}: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not JSON: {error}") from error
        missing = {"id", "reference", "hypothesis"} - set(record if isinstance(record, dict) else ())
        if missing:
            raise DataError(f"{path}:{number}: a hypothesis needs {', '.join(sorted(missing))}")
        yield record
