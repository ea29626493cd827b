"""Losses of several number formats over the steps, and their distances from the reference's, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from asr_lab.evaluation.plots import GREY, LINE, Series, paper, png_bytes, svg_text
from asr_lab.evaluation.precision_ab import SMOOTHED
from asr_lab.evaluation.study_plot import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES = (7.6, 5.2)
DASHES = ("-", "--", "-.", ":")
"""Told apart in grey too."""


@attrs.frozen
class LossCurve:
    """A format's training losses."""

    label: str
    steps: tuple[int, ...]
    losses: tuple[float, ...]


def draw_losses(curves: Sequence[LossCurve], title: str, suffix: str) -> bytes:
    """The losses, running means, above; below what each lies above the first, which is the reference."""
    reference, *others = curves
    known = dict(zip(reference.steps, reference.losses, strict=True))
    with paper(SIZE_INCHES) as (figure, axes):
        axes.remove()
        top, bottom = figure.subplots(2, 1, sharex=True)
        for one in (top, bottom):
            one.grid(color=LINE, linewidth=0.8)
            one.set_axisbelow(True)
            one.spines[["top", "right"]].set_visible(False)
        top.set_title(title, loc="left", pad=12)
        for number, curve in enumerate(curves):
            _line(top, curve, number)
        for number, curve in enumerate(others, start=1):
            gaps = [(s, v - known[s]) for s, v in zip(curve.steps, curve.losses, strict=True) if s in known]
            if gaps:
                steps, values = zip(*gaps, strict=True)
                _line(bottom, LossCurve(curve.label, steps, values), number)
        bottom.axhline(0.0, color=GREY, linewidth=0.8)
        top.set_yscale("log")
        top.set_ylabel("loss per token")
        bottom.set_ylabel(f"above {reference.label}")
        bottom.set_xlabel(f"step (running means of {SMOOTHED})")
        top.legend(frameon=False, ncols=4)
        return png_bytes(figure) if suffix == ".png" else svg_text(figure).encode()


def _line(axes: Axes, curve: LossCurve, number: int) -> None:
    size = min(SMOOTHED, len(curve.losses))
    values = [sum(curve.losses[i : i + size]) / size for i in range(len(curve.losses) - size + 1)]
    points = Series(curve.label, tuple(map(float, curve.steps[size - 1 :])), tuple(values)).points()
    if points:
        steps, shown = zip(*points, strict=True)
        style = DASHES[number // len(COLOURS) % len(DASHES)] if number else "-"
        axes.plot(steps, shown, style, color=COLOURS[number % len(COLOURS)], linewidth=1.2, label=curve.label)
