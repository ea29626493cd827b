"""Validators of a section's fields, as data: for messages, for the JSON Schema, for `describe`.

Sections import this module as `v`, where other attrs classes have `attrs.validators`: `validator=v.ge(1)`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

import attrs

from asr_lab.config.hints import shown
from asr_lab.config.section import key_of

Kind = Literal["ge", "gt", "le", "lt", "min_len", "max_len", "pattern", "among", "rising"]


class KeyProblem(ValueError):  # noqa: N818 - a ValueError, of one key
    """What is wrong with one key of a section; a plain ValueError concerns the section as a whole."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(key, message)
        self.key = key
        """As the recipe writes it."""
        self.message = message

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


@attrs.frozen
class Bound:
    """One demand on a value, by its kind and limit; an attrs validator."""

    kind: Kind
    limit: Any

    def __call__(self, section: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        _validate(self, attribute, value)

    def holds(self, value: Any) -> bool:
        """Whether the value meets it."""
        match self.kind:
            case "ge":
                return bool(value >= self.limit)
            case "gt":
                return bool(value > self.limit)
            case "le":
                return bool(value <= self.limit)
            case "lt":
                return bool(value < self.limit)
            case "min_len":
                return len(value) >= int(self.limit)
            case "max_len":
                return len(value) <= int(self.limit)
            case "pattern":
                return re.fullmatch(self.limit, value) is not None
            case "among":
                return value in self.limit
            case "rising":
                low, high = self.limit
                return bool(low <= value[0] <= value[1] <= high)

    def problem(self, value: Any, written: Any) -> str | None:
        """What is wrong with a value that a recipe writes so, or None: `must be at least 8, got 4`."""
        if self.holds(value):
            return None
        if self.kind == "min_len" and not value:
            return "must not be empty"
        return f"must {self._verb}, got {shown(written)}"

    def __str__(self) -> str:
        """The demand in words: `at least 8`."""
        match self.kind:
            case "ge":
                return f"at least {self.limit}"
            case "gt":
                return f"above {self.limit}"
            case "le":
                return f"at most {self.limit}"
            case "lt":
                return f"below {self.limit}"
            case "min_len":
                return "not empty" if self.limit == 1 else f"of at least {self.limit} elements"
            case "max_len":
                return f"of at most {self.limit} elements"
            case "pattern":
                return f"of the form {self.limit}"
            case "among":
                return f"one of {', '.join(map(str, self.limit))}"
            case "rising":
                return f"rising{self._span}" if self._span else "not falling"

    @property
    def _verb(self) -> str:
        if self.kind == "rising":
            return f"rise{self._span}" if self._span else "not fall"
        return f"be {self}"

    @property
    def _span(self) -> str:
        """Where a range may lie; empty = anywhere."""
        low, high = self.limit
        if math.isinf(high):
            return "" if math.isinf(low) else f" from {low:g} or more"
        return f" within {low:g} and {high:g}"


@attrs.frozen
class CheckedBy:
    """A demand that a function knows, which neither the schema nor `describe` can show; an attrs validator."""

    find: Callable[[Any], str | None]
    """What is wrong with a value, or None."""

    def __call__(self, section: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        _validate(self, attribute, value)

    def problem(self, value: Any, written: Any) -> str | None:
        """What is wrong with a value, or None."""
        return self.find(value)


Demand = Bound | CheckedBy


@attrs.frozen
class Demands:
    """Several demands on one value, all of which must hold; an attrs validator."""

    parts: tuple[Demand, ...]
    or_none: bool
    """Whether None passes."""

    def __call__(self, section: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None and self.or_none:
            return
        for part in self.parts:
            part(section, attribute, value)


def demands(validator: Any) -> tuple[Demand, ...]:
    """What a field's validator demands of a value that is not None; a validator from elsewhere shows nothing."""
    if isinstance(validator, Demands):
        return validator.parts
    return (validator,) if isinstance(validator, Bound | CheckedBy) else ()


def ge(limit: float) -> Bound:
    """At least the limit."""
    return Bound("ge", limit)


def gt(limit: float) -> Bound:
    """Above the limit."""
    return Bound("gt", limit)


def le(limit: float) -> Bound:
    """At most the limit."""
    return Bound("le", limit)


def lt(limit: float) -> Bound:
    """Below the limit."""
    return Bound("lt", limit)


def between(low: float, high: float) -> Demands:
    """From `low` to `high`, both included."""
    return all_of(ge(low), le(high))


def above(low: float, high: float) -> Demands:
    """More than `low` and at most `high`."""
    return all_of(gt(low), le(high))


def min_len(count: int) -> Bound:
    """A text, list or table of at least so many elements."""
    return Bound("min_len", count)


def max_len(count: int) -> Bound:
    """A text, list or table of at most so many elements."""
    return Bound("max_len", count)


def sized(least: int, most: int) -> Demands:
    """A text, list or table of `least` to `most` elements."""
    return all_of(min_len(least), max_len(most))


def matches_re(pattern: str) -> Bound:
    """A text that a regular expression matches from its first character to its last."""
    return Bound("pattern", pattern)


def in_(options: Iterable[Any]) -> Bound:
    """One of some values."""
    return Bound("among", tuple(options))


def rising(low: float = -math.inf, high: float = math.inf) -> Bound:
    """A range, (least, greatest): the second is not below the first, both lie between `low` and `high`."""
    return Bound("rising", (low, high))


def checked_by(find: Callable[[Any], str | None]) -> CheckedBy:
    """What a function finds nothing wrong with: it returns the message, or None."""
    return CheckedBy(find)


def all_of(*parts: Demand | Demands) -> Demands:
    """All of these."""
    return Demands(_flat(parts), or_none=False)


def optional(*parts: Demand | Demands) -> Demands:
    """All of these, or None."""
    return Demands(_flat(parts), or_none=True)


def _flat(parts: Iterable[Demand | Demands]) -> tuple[Demand, ...]:
    return tuple(one for part in parts for one in (part.parts if isinstance(part, Demands) else (part,)))


def _validate(demand: Demand, attribute: attrs.Attribute[Any], value: Any) -> None:
    problem = demand.problem(value, value)
    if problem is not None:
        raise KeyProblem(key_of(attribute.name), problem)
