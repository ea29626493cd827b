"""The WER-latency curve of streaming, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.evaluation.plots import BLUE, GREY, ORANGE, TALL_INCHES, paper, png_bytes, svg_text
from asr_lab.evaluation.streaming.table import ContextRow
from asr_lab.files import write_bytes, write_text
from asr_lab.units import s_to_ms

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_streaming(rows: Sequence[ContextRow], folder: Path, title: str) -> tuple[Path, Path]:
    """Draw the rows as `curve.svg` and `curve.png` into a folder.

    A streaming row is a point: right, the median delay until a word is final, with a whisker to its 90th percentile;
    up, the word error rate with its interval. Rows without a correct word have no place; where that is true of all,
    right is the encoder's mean delay. An offline row is a line across.
    """
    live = [row for row in rows if row.kind != "offline"]
    by_words = any(row.latency.words is not None for row in live)
    points = [(row, at) for row in live if (at := _delay_ms(row, by_words)) is not None]
    paths = folder / "curve.svg", folder / "curve.png"
    with paper(TALL_INCHES) as (figure, axes):
        for row in rows:
            if row.kind == "offline":
                _line(axes, row)
        for row, at in points:
            _point(axes, row, at)
        axes.plot(*_trained(points), color=BLUE, linewidth=1, zorder=1)
        _describe(axes, rows, by_words)
        axes.set_title(title, loc="left", pad=12)
        write_text(paths[0], svg_text(figure))
        write_bytes(paths[1], png_bytes(figure))
    return paths


def _delay_ms(row: ContextRow, by_words: bool) -> float | None:
    if by_words:
        return None if row.latency.words is None else s_to_ms(row.latency.words.final.p50_s)
    return None if row.delay is None else row.delay.mean_ms


def _trained(points: Sequence[tuple[ContextRow, float]]) -> tuple[list[float], list[float]]:
    """What a line joins: the contexts that the model was trained with, shortest delay first."""
    line = sorted((at, 100 * row.main.value) for row, at in points if row.kind == "live" and row.trained)
    return [at for at, _ in line], [wer for _, wer in line]


def _line(axes: Axes, row: ContextRow) -> None:
    axes.axhspan(100 * row.main.low, 100 * row.main.high, color=GREY, alpha=0.12, linewidth=0)
    axes.axhline(100 * row.main.value, color=GREY, linestyle="--", linewidth=1, label=row.label)


def _point(axes: Axes, row: ContextRow, at: float) -> None:
    value, low, high = (100 * x for x in (row.main.value, row.main.low, row.main.high))
    late = s_to_ms(row.latency.words.final.p90_s) - at if row.latency.words is not None else 0.0
    colour = BLUE if row.kind == "live" else ORANGE
    axes.errorbar(at, value, xerr=[[0.0], [max(0.0, late)]], fmt="none", ecolor=colour, elinewidth=0.8, alpha=0.35)
    axes.errorbar(
        at,
        value,
        yerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
        fmt="o" if row.kind == "live" else "s",
        color=colour,
        elinewidth=0.8,
        capsize=2,
        markerfacecolor=colour if row.trained else "white",
    )
    above = (at, max(value, high))
    axes.annotate(row.label, above, xytext=(0, 5), textcoords="offset points", color=colour, rotation=35)


def _describe(axes: Axes, rows: Sequence[ContextRow], by_words: bool) -> None:
    """Axes, grid, and what markers mean."""
    words = "finalisation delay, ms: from a word's end until it is final (P50; whisker to P90)"
    axes.set_xlabel(words if by_words else "delay of the encoder, ms (mean)")
    axes.set_ylabel("word error rate, % (95 % interval)")
    axes.margins(x=0.14, y=0.2)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]) if by_words and axes.dataLim.x0 < 0 else 0.0)
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
    if any(not row.trained for row in rows):
        axes.plot([], [], "o", color=BLUE, label="trained with")
        axes.plot([], [], "o", color=BLUE, markerfacecolor="white", label="not trained with")
    axes.legend(frameon=False, loc="upper right")
