"""What differs between two resolved forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from asr_lab.config.paths import Path, spell


@attrs.frozen
class KeyChange:
    """One key whose value differs."""

    path: str
    old: Any
    """None where it is absent."""
    new: Any
    """None where it is absent."""


def difference(a: dict[str, Any], b: dict[str, Any]) -> list[KeyChange]:
    """The keys that differ, in the order of `a`, then of `b`; 1 and 1.0 are the same.

    A table or list element that only one side has is one change. Lists of plain values are compared as a whole.
    """
    return list(_changes(a, b, ()))


def _changes(a: Any, b: Any, path: Path) -> Iterator[KeyChange]:
    if isinstance(a, dict) and isinstance(b, dict) and a.get("type") == b.get("type"):
        for key in [*a, *(k for k in b if k not in a)]:
            yield from _changes(a.get(key), b.get(key), (*path, key))
    elif _has_tables(a) and _has_tables(b):
        for index in range(max(len(a), len(b))):
            one = a[index] if index < len(a) else None
            other = b[index] if index < len(b) else None
            yield from _changes(one, other, (*path, index))
    elif a != b or isinstance(a, bool) != isinstance(b, bool):
        yield KeyChange(spell(path), a, b)


def _has_tables(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(v, dict) for v in value)
