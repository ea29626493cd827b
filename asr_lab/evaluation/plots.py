"""Every picture's colours, paper and files, and the curve of a training run; drawn by matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, LINE = "#2b6cb0", "#c05621", "#718096", "#e2e8f0"
WIDE_INCHES, TALL_INCHES = (7.6, 3.2), (7.6, 4.4)
DOTS_PER_INCH = 150
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


@contextmanager
def paper(size_inches: tuple[float, float]) -> Iterator[tuple[Figure, Axes]]:
    """An empty figure and its axes in the house's style: the same numbers give the same file."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "asrlab", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"}):
        figure = Figure(figsize=size_inches, layout="constrained")
        axes = figure.subplots()
        axes.grid(color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        yield figure, axes


def svg_text(figure: Figure) -> str:
    """A figure as an SVG that can stand inside a page: no declaration, no date."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    whole = text.getvalue()
    return whole[whole.index("<svg") :]


def png_bytes(figure: Figure) -> bytes:
    """A figure as a PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DOTS_PER_INCH)
    return content.getvalue()


def draw_training(left: Series, right: Series | None = None, title: str = "") -> str:
    """An SVG: one series as a line on the left axis, another as a line with dots on the right one, over steps.

    A series without finite points leaves its axis out.
    """
    curves = [(left, BLUE, ""), *([(right, ORANGE, "o")] if right is not None else [])]
    drawn = [(series, points, colour, mark) for series, colour, mark in curves if (points := series.points())]
    with paper(WIDE_INCHES) as (figure, axes):
        axes.set_title(title, loc="left", pad=12)
        axes.set_xlabel("step")
        if not drawn:
            axes.text(0.5, 0.5, "no steps yet", ha="center", color=GREY, transform=axes.transAxes)
            axes.set_yticks([])
        for number, (series, points, colour, mark) in enumerate(drawn):
            _curve(axes if number == 0 else axes.twinx(), series, points, colour, mark)
        return svg_text(figure)


def _curve(axes: Axes, series: Series, points: Sequence[tuple[float, float]], colour: str, mark: str) -> None:
    from matplotlib.ticker import PercentFormatter

    steps, values = zip(*points, strict=True)
    axes.plot(steps, values, color=colour, linewidth=1.4, marker=mark or None, markersize=4)
    axes.set_ylabel(series.label, color=colour)
    axes.tick_params(axis="y", labelcolor=colour)
    axes.set_ylim(bottom=min(0.0, *values), top=None if max(values) > 0 else 1.0)
    axes.spines[["top"]].set_visible(False)
    if series.as_percent:
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=None, symbol=" %"))
