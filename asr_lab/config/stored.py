"""Files of JSON, read strictly: the shape that was written, or an error that names the file and each key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from asr_lab.config.fields import fields
from asr_lab.config.paths import is_too_deep, spell
from asr_lab.config.structure import Invalid, structure
from asr_lab.errors import LabError, RunError

T = TypeVar("T")


def read_stored(path: Path, schema: type[T]) -> T:
    """A file as an attrs class; RunError where it cannot be read or is of another shape.

    Keys that the class does not have are passed over: a later version may have written them.
    """
    return stored(read_json(path), schema, str(path))


def read_json(path: Path) -> Any:
    """What a file of JSON holds, of whatever shape; RunError where it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def stored(content: Any, schema: type[T], place: str, kind: type[LabError] = RunError) -> T:
    """A JSON value as an attrs class; an error, which says that `place` is damaged, where it is of another shape."""
    if not isinstance(content, Mapping):
        raise kind(f"{place} is damaged: it holds no object")
    if is_too_deep(content):
        raise kind(f"{place} is damaged: it is nested too deep")
    try:
        return structure({f.key: content[f.key] for f in fields(cast(type, schema)) if f.key in content}, schema)
    except Invalid as error:
        problems = "; ".join(f"{spell(path)}: {message}" for path, message in error.problems)
        raise kind(f"{place} is damaged: {problems}") from error
