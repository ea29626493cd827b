"""The curve of streaming: error rate against how late words are read, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.evaluation.curve import BLUE, GREY, ORANGE
from asr_lab.evaluation.streaming_table import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES = (7.6, 4.4)
DOTS_PER_INCH = 150


def draw_streaming(rows: Sequence[Row], folder: Path, title: str) -> tuple[Path, Path]:
    """Draw the rows as `curve.svg` and `curve.png` into a folder.

    A live row is a point: right, the median delay until a word is settled (of the encoder alone, where words have no
    times), with a whisker to its 90th percentile; up, the word error rate with its interval. An offline row is a line.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "asrlab", "font.size": 9}):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.subplots()
        for row in rows:
            if row.kind == "offline":
                _line(axes, row)
        live = [row for row in rows if row.kind != "offline" and _delay_ms(row) is not None]
        for row in live:
            _point(axes, row)
        for decoder in dict.fromkeys(row.decoder for row in live if row.kind == "live" and row.trained):
            line = sorted((_delay_ms(r), 100 * r.wer.value) for r in live if r.decoder == decoder and _joined(r))
            axes.plot(*zip(*line, strict=True), color=BLUE, linewidth=1, zorder=1)
        timed = any(row.latency.words is not None for row in live)
        axes.set_xlabel(
            "word delay, ms: from a word's end until it is settled (median; whisker to 90 %)"
            if timed
            else "delay of the encoder, ms (mean)"
        )
        axes.set_ylabel("word error rate, % (95 % interval)")
        axes.set_title(title, loc="left", pad=12)
        axes.margins(x=0.14, y=0.12)
        axes.set_xlim(left=min(0.0, *(_delay_ms(row) or 0.0 for row in rows)))
        axes.set_ylim(bottom=0)
        axes.grid(color="#e2e8f0", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
        paths = folder / "curve.svg", folder / "curve.png"
        figure.savefig(paths[0], metadata={"Date": None})
        figure.savefig(paths[1], dpi=DOTS_PER_INCH)
    return paths


def _joined(row: Row) -> bool:
    return row.kind == "live" and row.trained


def _delay_ms(row: Row) -> float | None:
    if row.latency.words is not None:
        return 1000 * row.latency.words.settled.p50_s
    return None if row.delay is None else row.delay.mean_ms


def _line(axes: Axes, row: Row) -> None:
    low, high = 100 * row.wer.low, 100 * row.wer.high
    axes.axhspan(low, high, color=GREY, alpha=0.12, linewidth=0)
    axes.axhline(100 * row.wer.value, color=GREY, linestyle="--", linewidth=1, label=_named(row))


def _point(axes: Axes, row: Row) -> None:
    at, wer = _delay_ms(row), row.wer
    assert at is not None
    late = 1000 * row.latency.words.settled.p90_s - at if row.latency.words is not None else 0.0
    colour = BLUE if row.kind == "live" else ORANGE
    axes.errorbar(
        at,
        100 * wer.value,
        yerr=[[max(0.0, 100 * (wer.value - wer.low))], [max(0.0, 100 * (wer.high - wer.value))]],
        xerr=[[0.0], [max(0.0, late)]],
        fmt="o" if row.kind == "live" else "s",
        color=colour,
        ecolor=colour,
        elinewidth=0.8,
        capsize=2,
        markerfacecolor=colour if row.trained else "white",
    )
    axes.annotate(_named(row), (at, 100 * wer.value), xytext=(5, 5), textcoords="offset points", color=colour)


def _named(row: Row) -> str:
    return row.label if row.trained else f"{row.label} (not trained)"
