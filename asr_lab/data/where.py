"""The `where` table: which utterances of a dataset are kept."""

from __future__ import annotations

import difflib
import fnmatch
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from asr_lab.errors import DataError

DURATIONS = ("min_s", "max_s")
MAX_VALUES_SHOWN = 8

Test = Callable[[Any], bool]


class Where:
    """Conditions that all must hold: `min_s`, `max_s`, and columns with a value, a list of values, or a pattern.

    Patterns know `*` and `?`; a leading "!" negates. In a list one value without "!" must fit (if there is any), and
    none with it may. A column that an utterance lacks fits nothing but negations. `id` and `text` are columns too.
    DataError for conditions that make no sense.
    """

    def __init__(self, conditions: Mapping[str, Any], label: str = "where") -> None:
        self.label = label
        self.conditions = dict(conditions)
        self.min_s = self._seconds("min_s", 0.0)
        self.max_s = self._seconds("max_s", float("inf"))
        self._tests = {name: self._test(name, c) for name, c in conditions.items() if name not in DURATIONS}
        self._seen: dict[str, Counter[str]] = {}
        self._missing = set(self._tests)

    def fits_columns(self, id: str, text: str, columns: Mapping[str, Any]) -> bool:
        """Whether an utterance's columns fit; durations are asked for apart, as they may not be known yet."""
        if not self._tests:
            return True
        self._missing -= columns.keys()
        self._missing -= {"id", "text"}
        for name in columns:
            self._seen.setdefault(name, Counter())
        fits = True
        for name, test in self._tests.items():
            value = id if name == "id" else text if name == "text" else columns.get(name)
            values = self._seen.setdefault(name, Counter())
            if name in columns and (len(values) < 1000 or str(value) in values):
                values[_spelling(value)] += 1
            fits = fits and test(value)
        return fits

    def fits_duration(self, duration_s: float) -> bool:
        """Whether a length in seconds lies within `min_s` and `max_s`, both included."""
        return self.min_s <= duration_s <= self.max_s

    def check_columns(self) -> None:
        """DataError when a condition's column was never seen; to be asked after all utterances."""
        for name in sorted(self._missing):
            have = sorted(set(self._seen) - self._missing) or ["id", "text"]
            close = difflib.get_close_matches(name, have, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise DataError(f"{self.label}: no column {name!r}{hint} (have: {', '.join(have)}, {', '.join(DURATIONS)})")

    def describe_values(self) -> str:
        """The values that the asked-for columns hold: what to write when nothing fitted."""
        parts = []
        for name in self._tests:
            values = self._seen.get(name, Counter()).most_common(MAX_VALUES_SHOWN + 1)
            shown = ", ".join(f"{value} ({count})" for value, count in values[:MAX_VALUES_SHOWN])
            parts.append(f"{name} is {shown}{', …' if len(values) > MAX_VALUES_SHOWN else ''}")
        return "; ".join(parts)

    def _seconds(self, name: str, default: float) -> float:
        value = self.conditions.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"{self.label}.{name}: must be seconds, got {value!r}")
        return float(value)

    def _test(self, name: str, condition: Any) -> Test:
        values = condition if isinstance(condition, list | tuple) else [condition]
        if not values:
            raise DataError(f"{self.label}.{name}: an empty list fits nothing")
        for value in values:
            if not isinstance(value, str | bool | int | float):
                raise DataError(f"{self.label}.{name}: must be a text, a number, true, false or a list, got {value!r}")
        texts = [_spelling(v) for v in values]
        wanted = [_pattern(t) for t in texts if not t.startswith("!")]
        unwanted = [_pattern(t[1:]) for t in texts if t.startswith("!")]

        def fits(value: Any) -> bool:
            if value is None:
                return not wanted
            text = _spelling(value)
            return (not wanted or any(w(text) for w in wanted)) and not any(u(text) for u in unwanted)

        return fits


def _pattern(text: str) -> Callable[[str], bool]:
    if not any(c in text for c in "*?"):
        return text.__eq__
    # "[" is an ordinary letter here.
    escaped = text.replace("[", "[[]")
    return lambda value: fnmatch.fnmatchcase(value, escaped)


def _spelling(value: Any) -> str:
    """One spelling for numbers, whether the manifest holds them as texts or not."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
