"""What to say of a value that is not right: its spelling in TOML, and what was likely meant."""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_LONGEST = 40


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option that a misspelt word most likely means."""
    plain = {_plain(o): o for o in options}
    found = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing where no option is near."""
    found = nearest(word, options)
    return f"; did you mean {shown(found)}?" if found is not None else ""


def not_among(what: str, word: str, options: Sequence[str]) -> str:
    """`no Mixer called 'mamba'; did you mean 'mamba2'? (have: attention, mamba2)`."""
    have = ", ".join(options) or "nothing"
    return f"no {what} called {shown(word)}{did_you_mean(word, options)} (have: {have})"


def shown(value: Any) -> str:
    """A value as a message shows it: TOML's spelling, text in single quotes, long ones cut, tables by name."""
    if isinstance(value, str):
        text = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
        return f"'{text if text.isprintable() else json.dumps(text)[1:-1]}'"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number of more than 20 digits"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(v) for v in value[:4]) + (", …]" if len(value) > 4 else "]")
    if isinstance(value, datetime.date | datetime.time):
        return f"the date or time {value.isoformat()}"
    return str(value)


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")
