"""Manifests of JSON lines: which kind a record is of, and its values checked one by one."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from asr_lab.data.sources.text_lines import is_text, read_lines
from asr_lab.data.utterance import brief
from asr_lab.errors import DataError

T = TypeVar("T")

NEMO_AUDIO = ("audio_filepath", "audio_filename")


class RowError(ValueError):
    """A row that cannot be used; the text says why."""


def read_object(line: str, problem: str = "") -> dict[str, Any]:
    """The object that a line holds; RowError for any other."""
    if problem or not is_text(line):
        raise RowError(problem or "is not UTF-8")
    try:
        data = json.loads(line)
    except RecursionError:
        raise RowError("is JSON nested too deep") from None
    except ValueError as error:
        raise RowError(f"is not a cut, as it is not JSON: {str(error)[:200]}") from None
    if not isinstance(data, dict):
        raise RowError("is not a JSON object")
    return data


def typed(value: object, kind: type[T], name: str) -> T:
    """The value, if it is of this type; RowError naming what it is of otherwise."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        wanted = {str: "a text", list: "a list", dict: "an object", int: "a whole number"}[kind]
        raise RowError(f"is not a cut: {name} must be {wanted}, got {shown(value)}")
    return value


def seconds(values: Mapping[str, Any], key: str, name: str, *, least: float | None = 0.0) -> float:
    """A finite number of seconds; RowError for what is none, or is below `least`."""
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowError(f"is not a cut: {name} must be a number of seconds, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RowError(f"is not a cut: {name} must be a finite number of seconds, got {shown(value)}")
    if least is not None and number < least:
        raise RowError(f"is not a cut: {name} must not be below {least:g}, got {number:g}")
    return number


def shown(value: object) -> str:
    """A JSON value as JSON writes it, or what it is where that is long."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**18:
        return "a number of more than 18 digits"
    return brief(value) if isinstance(value, str) else json.dumps(value)


def refuse_nemo(manifest: Path) -> None:
    """DataError for a file of any name whose first line is a NeMo record."""
    for line in read_lines(manifest):
        with contextlib.suppress(RowError):
            refuse_other_kinds(read_object(line.text, line.problem), manifest)
        return


def refuse_other_kinds(data: Mapping[str, Any], manifest: Path) -> None:
    """DataError for a manifest whose first record is of no cut but of something else that is known."""
    keys = data.keys()
    if "type" in keys or "recording" in keys:
        return
    if any(name in keys for name in NEMO_AUDIO):
        raise DataError(
            f"{manifest} looks like a NeMo manifest, not one of lhotse's cuts; read it by\n"
            f'  {{ type = "nemo", path = "{manifest.name}" }}'
        )
    kind = "recordings" if "sources" in keys else "supervisions" if "recording_id" in keys else ""
    if kind:
        raise DataError(
            f"{manifest} holds {kind}, not cuts; make cuts of recordings and their supervisions:\n"
            "  lhotse cut simple -r recordings.jsonl.gz -s supervisions.jsonl.gz cuts.jsonl.gz"
        )
