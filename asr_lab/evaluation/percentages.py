"""Fractions as people read them."""

from __future__ import annotations


def percent(value: float, sign: str = "", unit: str = " %") -> str:
    """A fraction as a percentage with two decimals; `sign` is "+" where a plus is shown too."""
    return f"{100 * value:{sign}.2f}{unit}"


def span(low: float, high: float, sign: str = "", unit: str = " %") -> str:
    """Both ends of an interval: `1.20 to 3.04 %`."""
    return f"{percent(low, sign, '')} to {percent(high, sign, unit)}"


def with_span(value: float, low: float, high: float, sign: str = "") -> str:
    """A percentage with its interval, without the sign of per cent: `2.10 (1.20 to 3.04)`."""
    return f"{percent(value, sign, '')} ({span(low, high, sign, '')})"
