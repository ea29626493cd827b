"""Braces in paths: `audio_{0..127}.tar`, `{a,b}/x`, and NeMo's `_OP_` and `_CL_` for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from asr_lab.errors import DataError

MAX_PATHS = 100_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})", re.ASCII)


def expanded(pattern: str) -> list[str]:
    """The paths that a pattern means, in order; one without braces is itself.

    DataError for one that means more than `MAX_PATHS`.
    """
    found = []
    for path in _expanded(pattern.replace("_OP_", "{").replace("_CL_", "}")):
        found.append(path)
        if len(found) > MAX_PATHS:
            raise DataError(f"{pattern[:200]!r} means more than {MAX_PATHS:,} paths")
    return found


def _expanded(pattern: str) -> Iterator[str]:
    braces = _BRACES.search(pattern)
    if braces is None or not (options := list(_options(braces[1]))):
        yield pattern
        return
    head, tail = pattern[: braces.start()], pattern[braces.end() :]
    for option in options:
        yield from _expanded(head + option + tail)


def _options(inside: str) -> Iterator[str]:
    if (numbers := _RANGE.fullmatch(inside)) is not None:
        first, last = int(numbers[1]), int(numbers[2])
        if abs(last - first) >= MAX_PATHS:
            raise DataError(f"{{{inside}}} means more than {MAX_PATHS:,} paths")
        width = len(numbers[1]) if numbers[1].startswith("0") else 0
        step = 1 if first <= last else -1
        yield from (f"{number:0{width}d}" for number in range(first, last + step, step))
    elif "," in inside:
        yield from inside.split(",")
