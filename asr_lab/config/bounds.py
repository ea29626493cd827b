"""What a field's attrs validators demand, as data: for messages, for the JSON Schema, for `describe`."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs

_COMPARISONS = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}


@attrs.frozen
class Bound:
    """One demand on a value."""

    kind: Literal["ge", "gt", "le", "lt", "min_len", "max_len", "pattern", "among"]
    limit: Any

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


def bounds(validator: Any, number: type = int) -> tuple[Bound, ...]:
    """The demands of an attrs validator on a value that is not None; those written as functions are left out.

    `number` is the field's type: a limit on a float is given as a float.
    """
    match type(validator).__name__:
        case "_AndValidator":
            return tuple(b for part in validator._validators for b in bounds(part, number))
        case "_OptionalValidator":
            return bounds(validator.validator, number)
        case "_NumberValidator":
            limit = float(validator.bound) if number is float else validator.bound
            return (Bound(_COMPARISONS[validator.compare_op], limit),)  # type: ignore[arg-type]
        case "_MinLengthValidator":
            return (Bound("min_len", validator.min_length),)
        case "_MaxLengthValidator":
            return (Bound("max_len", validator.max_length),)
        case "_MatchesReValidator":
            return (Bound("pattern", validator.pattern.pattern),)
        case "_InValidator":
            return (Bound("among", tuple(validator.options)),)
    return ()
