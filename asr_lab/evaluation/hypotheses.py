"""Hypotheses on disk: what a model decoded of each utterance, beside its reference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from asr_lab.config.stored import stored
from asr_lab.errors import DataError
from asr_lab.evaluation.rates import UnitErrors
from asr_lab.evaluation.scoring import Scored
from asr_lab.recognition.decoded_utterance import IDENTIFIED, DecodedUtterance

OLD_COUNTS = {"words": "wer", "characters": "cer"}
"""What the counts of two rates were called in evaluations of format 1."""


@attrs.frozen
class StoredTexts:
    """What was compared: both texts as the normaliser left them."""

    reference: str
    hypothesis: str


@attrs.frozen
class StoredErrors:
    """`UnitErrors` as a record holds them."""

    substitutions: int
    deletions: int
    insertions: int
    reference: int


@attrs.frozen
class StoredHypothesis:
    """What a record must hold, and what it may."""

    id: str
    reference: str
    hypothesis: str
    set: str = ""
    audio: str = ""
    duration_s: float = 0.0
    speaker: str | None = None
    language: str | None = None
    identified: str | None = None
    normalised: StoredTexts | None = None
    errors: dict[str, StoredErrors] | None = None


def read_hypotheses(path: Path) -> list[dict[str, Any]]:
    """The records of a file of hypotheses, those of older formats in today's shape; DataError with the line that is
    not one."""
    return list(_records(path))


def decoded_of(record: Mapping[str, Any]) -> DecodedUtterance:
    """The utterance that a record holds, as far as a file keeps it."""
    columns = {name: record[name] for name in ("speaker", "language", IDENTIFIED) if record.get(name)}
    return DecodedUtterance(
        record["id"],
        record["reference"],
        record["hypothesis"],
        columns,
        record.get("duration_s", 0.0),
        record.get("audio", ""),
    )


def scored_of(record: Mapping[str, Any]) -> Scored:
    """The scored utterance that a record of an evaluation holds; DataError where it has no counts."""
    try:
        texts = record["normalised"]
        errors = {name: UnitErrors(**counts) for name, counts in record["errors"].items()}
        return Scored(decoded_of(record), texts["reference"], texts["hypothesis"], errors)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"the hypothesis of {record['id']} has no counts; write it with asrlab eval") from error


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
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: not JSON: {error}") from error
        if isinstance(record, dict) and "errors" not in record and "words" in record:
            record["errors"] = {name: record.pop(old) for old, name in OLD_COUNTS.items() if old in record}
        stored(record, StoredHypothesis, f"{path}:{number}", DataError)
        yield record
