"""The columns of tables of transcripts: what a header's names mean, and what its rows hold."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from asr_lab.data.utterance import brief
from asr_lab.errors import DataError

STRETCH = ("start_s", "end_s", "duration_s", "channel")
"""Columns that say which stretch of a file a row is."""
AGREE_S = 0.02
"""A length and an end may differ by so much: both are rounded."""
CLOSE = 0.8
"""How alike a name must be to be one of `STRETCH` mistyped."""
NUMBER = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DIGITS = re.compile(r"\d{1,9}", re.ASCII)

_MEANT = {
    "start_s": ("start", "begin", "beg", "onset", "offset"),
    "end_s": ("end", "stop"),
    "duration_s": ("duration", "dur", "length"),
    "channel": ("channel", "chan", "ch"),
}
_UNITS = r"_s|_?(in_)?(secs?|seconds?|ms|msecs?|milliseconds?|times?|samples?|frames?|index|number)"
_WORDS = re.compile(rf"((audio|segment|seg|utt|utterance|clip|t)_)?(?P<word>[a-z]+?)({_UNITS})?")


def check_header(table: Path, header: Sequence[str], used: Collection[str]) -> None:
    """DataError for a header that lacks a column, has one twice, or names a stretch in other words than `STRETCH`.

    `used` are the columns that the recipe names, whatever they are called. A name that is nearly one of `STRETCH` is
    warned of.
    """
    for column in used:
        if column not in header:
            close = difflib.get_close_matches(column, header, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise DataError(f"{table} has no column {column!r}{hint} (have: {brief_list(header)})")
    if doubled := sorted({c for c in header if header.count(c) > 1}):
        raise DataError(f"{table} has more than one column {doubled[0]!r}")
    for column in header:
        if column in used or column in STRETCH:
            continue
        if meant := _meant(column):
            unit = "" if meant == "channel" else ", in seconds"
            raise DataError(
                f"{table}: the column {column!r} is not read, and looks like {meant!r}; call it {meant}{unit}, "
                "or something else where it means something else"
            )
        if close := difflib.get_close_matches(column, STRETCH, 1, CLOSE):
            warnings.warn(f"{table}: the column {column!r} is not read; did you mean {close[0]!r}?", stacklevel=2)


def brief_list(names: Sequence[str]) -> str:
    """The names of columns, some of them where there are many."""
    shown = [name if len(name) <= 60 else f"{name[:60]}…" for name in names[:30]]
    return ", ".join([*shown, *(["…"] if len(names) > 30 else [])]) or "none"


def stretch_of(row: Mapping[str, str]) -> tuple[float | None, float | None, int | None]:
    """Start, length and channel of a row where it gives them; ValueError for values that make no sense.

    An end without a start is that of a stretch from the file's start.
    """
    start_s, end_s, duration_s = (_seconds(row, name) for name in STRETCH[:3])
    if end_s is not None:
        start_s = start_s or 0.0
        if end_s <= start_s:
            raise ValueError(f"end_s must be after start_s, got {start_s:g} to {end_s:g}")
        length_s = round(end_s - start_s, 9)
        if duration_s is not None and abs(length_s - duration_s) > AGREE_S:
            raise ValueError(f"end_s and duration_s disagree: {length_s:g} s and {duration_s:g} s")
        duration_s = length_s
    return start_s, duration_s, _channel(row)


def _seconds(row: Mapping[str, str], column: str) -> float | None:
    text = (row.get(column) or "").strip()
    if not text:
        return None
    if not NUMBER.fullmatch(text):
        try:
            below = float(text) < 0
        except ValueError:
            below = False
        what = "must not be below 0, got" if below else "is not a number:"
        raise ValueError(f"{column} {what} {text if below else brief(text)}")
    value = float(text)
    if value == float("inf"):
        raise ValueError(f"{column} is too large: {brief(text)}")
    return value


def _channel(row: Mapping[str, str]) -> int | None:
    text = (row.get("channel") or "").strip()
    if text and not DIGITS.fullmatch(text):
        raise ValueError(f"channel must be a whole number from 0, got {brief(text)}")
    return int(text) if text else None


def _meant(column: str) -> str | None:
    """Which of `STRETCH` a name says in other words."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])|[^0-9A-Za-z]+", "_", column).strip("_").lower()
    found = _WORDS.fullmatch(plain)
    word = found["word"] if found else ""
    return next((meant for meant, words in _MEANT.items() if plain == meant or word in words), None)
