"""Fractions as people read them."""

from __future__ import annotations

NONE = "–"
"""Where there is no rate."""


def percent(value: float, sign: str = "", unit: str = " %") -> str:
    """A fraction as a percentage with two decimals; `sign` is "+" where a plus is shown too."""
    return f"{100 * value:{sign}.2f}{unit}"


def span(low: float, high: float, sign: str = "", unit: str = " %") -> str:
    """Both ends of an interval: `1.20 to 3.04 %`."""
    return f"{percent(low, sign, '')} to {percent(high, sign, unit)}"


def rate_and_span(value: float, low: float, high: float, reference: int) -> tuple[str, str]:
    """An error rate and its interval; a dash each where the references hold no unit, over which there is no rate."""
    return (percent(value), span(low, high)) if reference else (NONE, NONE)


def with_span(value: float, low: float, high: float, sign: str = "") -> str:
    """A percentage with its interval, without the sign of per cent: `2.10 (1.20 to 3.04)`."""
    return f"{percent(value, sign, '')} ({span(low, high, sign, '')})"
