"""How far the runs of one recipe lie apart: the mean over seeds and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from asr_lab.evaluation.bootstrap import LEVEL


@attrs.frozen
class Spread:
    """A mean over seeds, as a fraction or in any other unit."""

    mean: float
    low: float | None
    """The ends of its 95 % interval by Student's t; None for one seed, which says nothing of others."""
    high: float | None
    count: int


def spread(values: Sequence[float]) -> Spread:
    """The mean of one value or more and its interval: t with one degree of freedom less than there are values."""
    count, mean = len(values), math.fsum(values) / len(values)
    if count < 2:
        return Spread(mean, None, None, count)
    from scipy.special import stdtrit

    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * deviation / math.sqrt(count)
    return Spread(mean, mean - half, mean + half, count)
