"""Two trainings of the same data in different number formats: how far their losses, norms and errors lie apart."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from asr_lab.errors import DataError
from asr_lab.evaluation.comparison import Difference

LAST_SHARE = 0.1
"""Of the steps, over which a final loss is averaged."""
SMOOTHED = 25
"""Steps of the running mean whose largest distance is told."""

Verdict = Literal["non-inferior", "inferior", "undecided"]


@attrs.frozen
class LossGap:
    """How a training went beside another over the same batches."""

    last: float
    """Mean loss of the last tenth of the steps, less the other's."""
    last_relative: float
    """As a share of the other's."""
    largest: float
    """The largest distance of the running means, with its sign."""
    largest_step: int
    grad_norm_ratio: float
    """Median over the steps of the gradient's norm over the other's."""
    skipped: int
    """Steps without an update, for a loss or gradient that was not finite."""


def loss_gap(records: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]]) -> LossGap:
    """From the lines of two `metrics.jsonl`; DataError where they have no step in common."""
    theirs = {one["step"]: one for one in reference if _is_whole(one)}
    pairs = [(one, theirs[one["step"]]) for one in records if _is_whole(one) and one["step"] in theirs]
    if not pairs:
        raise DataError("not comparable: no step of one was logged by the other")
    last = pairs[-max(1, round(LAST_SHARE * len(pairs))) :]
    own, other = (statistics.fmean(pair[i]["loss"] for pair in last) for i in (0, 1))
    gaps = [a["loss"] - b["loss"] for a, b in pairs]
    size = min(SMOOTHED, len(gaps))
    running = [statistics.fmean(gaps[i : i + size]) for i in range(len(gaps) - size + 1)]
    place = max(range(len(running)), key=lambda i: abs(running[i]))
    ratios = [a["grad_norm"] / b["grad_norm"] for a, b in pairs if b["grad_norm"]]
    return LossGap(
        last=own - other,
        last_relative=(own - other) / other if other else 0.0,
        largest=running[place],
        largest_step=int(pairs[place + size - 1][0]["step"]),
        grad_norm_ratio=statistics.median(ratios) if ratios else 1.0,
        skipped=sum(bool(one.get("skipped")) for one in records),
    )


def verdict(difference: Difference, margin: float) -> Verdict:
    """By the 95 % interval of an error rate's difference against a margin, both as fractions.

    Non-inferior where all of the interval lies below the margin, inferior where all of it lies above.
    """
    if difference.high < margin:
        return "non-inferior"
    return "inferior" if difference.low > margin else "undecided"


def _is_whole(record: Mapping[str, Any]) -> bool:
    numbers = (record.get(key) for key in ("step", "loss", "grad_norm"))
    return not record.get("skipped") and all(isinstance(n, int | float) for n in numbers)
