"""Bounds on a field that is a range, beside those of attrs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def rising(low: float = -math.inf, high: float = math.inf) -> Callable[[Any, Any, tuple[float, float]], None]:
    """A validator of (least, greatest): the second is not below the first, both lie between `low` and `high`."""
    if math.isinf(low):
        wanted = "not fall"
    else:
        wanted = f"rise from {low:g} or more" if math.isinf(high) else f"rise within {low:g} and {high:g}"

    def check(_: Any, attribute: Any, value: tuple[float, float]) -> None:
        if not low <= value[0] <= value[1] <= high:
            raise ValueError(f"'{attribute.name}' must {wanted}, got [{value[0]}, {value[1]}]")

    return check
