"""A study as a picture: error rates against what was varied, with intervals over seeds; drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from asr_lab.evaluation.plots import BLUE, GREY, ORANGE, TALL_INCHES, paper, png_bytes, svg_text
from asr_lab.evaluation.spread import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BLUE, ORANGE, "#2f855a", "#6b46c1", "#b83280", "#975a16")
MAX_LINES = len(COLOURS)
DECADE = 10.0
"""Values that span so many times the least are shown on a logarithmic axis."""
FORMATS = (".svg", ".png")


@attrs.frozen
class PlotArm:
    """One arm of the picture."""

    label: str
    line: str
    """Arms of one line are joined; "" where there is one line."""
    x: float | None
    """Its place along the axis; None = it has a name alone."""
    valid: tuple[float, ...]
    """Error rates on validation, as fractions, one for each seed."""


def draw_study(arms: Sequence[PlotArm], key: str, metric: str, title: str, suffix: str) -> bytes:
    """The picture of a study with at least one arm, as an SVG or a PNG by its suffix.

    Points along `key` where each arm has a number there, joined line by line; otherwise a row for each arm. Small
    dots are seeds, bars the 95 % interval of their mean by Student's t.
    """
    lines = list(dict.fromkeys(arm.line for arm in arms))
    is_along = all(arm.x is not None for arm in arms) and len(lines) <= MAX_LINES
    rows = 1.2 + 0.28 * len(arms)
    with paper(TALL_INCHES if is_along else (TALL_INCHES[0], max(2.0, rows))) as (figure, axes):
        from matplotlib.ticker import PercentFormatter

        axes.set_title(title, loc="left", pad=12)
        percent = PercentFormatter(xmax=1.0, decimals=None, symbol=" %")
        if is_along:
            for line, colour in zip(lines, COLOURS, strict=False):
                _along(axes, [arm for arm in arms if arm.line == line], colour, line)
            numbers = [arm.x for arm in arms if arm.x is not None]
            if min(numbers) > 0 and max(numbers) >= DECADE * min(numbers):
                axes.set_xscale("log")
            axes.set_xlabel(key)
            axes.set_ylabel(f"{metric}, validation")
            axes.yaxis.set_major_formatter(percent)
            if len(lines) > 1:
                axes.legend(frameon=False)
        else:
            _in_rows(axes, arms)
            axes.set_xlabel(f"{metric}, validation")
            axes.xaxis.set_major_formatter(percent)
        return png_bytes(figure) if suffix == ".png" else svg_text(figure).encode()


def _along(axes: Axes, arms: Sequence[PlotArm], colour: str, label: str) -> None:
    arms = sorted(arms, key=lambda arm: arm.x or 0.0)
    places = [arm.x or 0.0 for arm in arms]
    means, bars = _means(arms)
    axes.errorbar(places, means, yerr=bars, color=colour, marker="o", markersize=5, capsize=3, label=label or None)
    for place, arm in zip(places, arms, strict=True):
        if len(arm.valid) > 1:
            axes.plot([place] * len(arm.valid), arm.valid, ".", color=GREY, markersize=4, zorder=1)


def _in_rows(axes: Axes, arms: Sequence[PlotArm]) -> None:
    places = list(range(len(arms)))
    means, bars = _means(arms)
    axes.errorbar(means, places, xerr=bars, color=BLUE, marker="o", markersize=5, capsize=3, linestyle="none")
    for place, arm in zip(places, arms, strict=True):
        if len(arm.valid) > 1:
            axes.plot(arm.valid, [place] * len(arm.valid), ".", color=GREY, markersize=4, zorder=1)
    axes.set_yticks(places, [arm.label for arm in arms])
    axes.invert_yaxis()


def _means(arms: Sequence[PlotArm]) -> tuple[list[float], list[list[float]]]:
    """The means, and how far their intervals reach below and above; nowhere for one seed."""
    spreads = [spread(arm.valid) for arm in arms]
    below = [0.0 if one.low is None else one.mean - one.low for one in spreads]
    above = [0.0 if one.high is None else one.high - one.mean for one in spreads]
    return [one.mean for one in spreads], [below, above]
