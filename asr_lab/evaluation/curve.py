"""The curve of a training run, drawn as SVG by hand: no plotting package, no script, no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

import attrs

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 64, 34, 42
BLUE, ORANGE, GREY = "#2b6cb0", "#c05621", "#718096"
MAX_POINTS = 600
"""A longer series is thinned by averaging neighbours."""


@attrs.frozen
class Series:
    """Some numbers over training steps."""

    label: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    """Same length as `steps`; what is not finite is left out of the picture."""
    as_percent: bool = False

    def points(self) -> list[tuple[float, float]]:
        """Finite points in order, at most `MAX_POINTS`."""
        finite = [p for p in zip(self.steps, self.values, strict=True) if math.isfinite(p[1])]
        if len(finite) <= MAX_POINTS:
            return finite
        size = math.ceil(len(finite) / MAX_POINTS)
        groups = [finite[i : i + size] for i in range(0, len(finite), size)]
        return [(g[-1][0], sum(v for _, v in g) / len(g)) for g in groups]


def draw_curve(left: Series, right: Series | None = None, title: str = "") -> str:
    """An SVG picture: one series on the left axis (a line), another on the right one (a line with dots).

    Steps run along the bottom. A series without finite points leaves its axis out.
    """
    curves = [(left, BLUE, "left"), *([(right, ORANGE, "right")] if right is not None else [])]
    drawn = [(series, series.points(), colour, side) for series, colour, side in curves]
    drawn = [item for item in drawn if item[1]]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    if drawn:
        steps = [x for _, points, _, _ in drawn for x, _ in points]
        along = _Scale(min(0.0, *steps), max(*steps, 1.0), LEFT, WIDTH - RIGHT)
        parts += _bottom_axis(along)
        for number, (series, points, colour, side) in enumerate(drawn):
            parts += _curve(series, points, colour, side, along, grid=number == 0)
    else:
        parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle" fill="{GREY}">no steps yet</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


@attrs.frozen
class _Scale:
    """A linear map from values to places on the picture."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value lies."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _curve(
    series: Series, points: Sequence[tuple[float, float]], colour: str, side: str, along: _Scale, grid: bool
) -> list[str]:
    ticks = nice_ticks(0.0, max(v for _, v in points))
    up = _Scale(min(ticks[0], *(v for _, v in points)), ticks[-1], HEIGHT - BOTTOM, TOP)
    x, anchor = (LEFT - 8, "end") if side == "left" else (WIDTH - RIGHT + 8, "start")
    parts = []
    for tick in ticks:
        y = up.place(tick)
        text = f"{100 * tick:g} %" if series.as_percent else f"{tick:g}"
        if grid:
            parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{x}" y="{y + 4:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>')
    at = LEFT if side == "left" else WIDTH - RIGHT
    parts.append(
        f'<text x="{at}" y="20" text-anchor="{"start" if side == "left" else "end"}" fill="{colour}" '
        f'font-weight="bold">{escape(series.label)}</text>'
    )
    line = " ".join(f"{along.place(a):.1f},{up.place(b):.1f}" for a, b in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    if side == "right":
        for a, b in points:
            text = f"{100 * b:.2f} %" if series.as_percent else f"{b:g}"
            dot = f'<circle cx="{along.place(a):.1f}" cy="{up.place(b):.1f}" r="3" fill="{colour}">'
            parts.append(f"{dot}<title>step {a:g}: {text}</title></circle>")
    return parts


def _bottom_axis(along: _Scale) -> list[str]:
    y = HEIGHT - BOTTOM
    parts = [f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{GREY}"/>']
    for tick in nice_ticks(along.low, along.high):
        if tick <= along.high:
            x = along.place(tick)
            parts.append(f'<text x="{x:.1f}" y="{y + 18}" text-anchor="middle" fill="{GREY}">{tick:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*parts, f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle" fill="{GREY}">step</text>']


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers from `low` up to the first at or above `high`."""
    if high <= low:
        high = low + 1
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.floor(low / step)
    last = math.ceil(high / step - 1e-9)
    ticks = [round(i * step, 12) for i in range(first, last + 1)]
    assert all(a < b for a, b in pairwise(ticks))
    return ticks
