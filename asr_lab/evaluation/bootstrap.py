"""Intervals by resampling whole utterances, or whole speakers.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004; by speaker:
Liu and Peng, "Statistical testing on ASR performance via blockwise bootstrap", arXiv:1912.09508.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
MIN_SPEAKERS = 10
"""Fewer speakers are not resampled: the spread of so few says too little, and the interval comes out too small."""
DRAWS_AT_ONCE = 2_000_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@attrs.frozen
class Units:
    """What is resampled: utterances, or all of a speaker's at once."""

    by: Literal["utterance", "speaker"]
    of: Ints
    """The unit of each utterance, (N,), numbered from 0."""
    count: int

    def total(self, values: Ints) -> Ints:
        """Sums over each unit's utterances: (N, K) to (count, K)."""
        totals = np.zeros((self.count, values.shape[1]), dtype=np.int64)
        np.add.at(totals, self.of, values)
        return totals


def resampling_units(speakers: Sequence[str | None]) -> Units:
    """Speakers where each utterance's is known and there are at least `MIN_SPEAKERS`, otherwise utterances.

    Utterances of one speaker share errors; resampling them as if they did not gives intervals that are too narrow.
    """
    known = None not in speakers
    names, of = np.unique([str(s) for s in speakers], return_inverse=True)
    if known and len(names) >= MIN_SPEAKERS:
        return Units("speaker", of.astype(np.int64), len(names))
    return Units("utterance", np.arange(len(speakers), dtype=np.int64), len(speakers))


def resample_totals(values: Ints, resamples: int, seed: int) -> Floats:
    """Totals of `resamples` draws of as many rows as there are, with replacement: (rows, K) to (resamples, K).

    All K columns share the draws, so rates computed from them are paired.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    rows = len(values)
    as_floats = values.astype(np.float64)
    totals = np.zeros((resamples, values.shape[1]))
    step = max(1, DRAWS_AT_ONCE // max(1, rows))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(rows, size=(count, rows), dtype=np.int32)
        drawn += np.arange(count, dtype=np.int32)[:, None] * rows
        times = np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows)
        totals[start : start + count] = times @ as_floats
    return totals


def rate_interval(errors: Ints, reference: Ints, resamples: int, seed: int) -> list[tuple[float, float]]:
    """The central 95 % of each error rate under resampling of the rows.

    `errors` and `reference` are (rows, K): K rates over the same rows share the draws. Where every resample has the
    same rate (one row, no error at all, nothing but errors) resampling says nothing, and the interval is Clopper and
    Pearson's for so many errors of so many units.
    """
    num_rates = errors.shape[1]
    totals = resample_totals(np.concatenate([errors, reference], axis=1), resamples, seed)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    found = []
    for k in range(num_rates):
        rates = totals[:, k] / np.maximum(1, totals[:, num_rates + k])
        if rates.min() < rates.max():
            low, high = np.quantile(rates, tails)
            found.append((float(low), float(high)))
        else:
            found.append(exact_interval(int(errors[:, k].sum()), int(reference[:, k].sum())))
    return found


def exact_interval(errors: int, size: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a proportion (Biometrika 26, 1934); reaches to `errors / size` above 1."""
    from scipy.special import betaincinv

    tail = (1 - LEVEL) / 2
    hits = min(errors, size)
    low = float(betaincinv(hits, size - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, size - hits, 1 - tail)) if hits < size else 1.0
    return low, max(high, errors / max(1, size))
