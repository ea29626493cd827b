"""Two evaluations of the same utterances, compared utterance by utterance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np

from asr_lab.errors import DataError
from asr_lab.evaluation.bootstrap import DRAWS_AT_ONCE, LEVEL, Ints, Units, resample_totals, resampling_units
from asr_lab.evaluation.error_counts import error_rate
from asr_lab.evaluation.hypotheses import read_hypotheses
from asr_lab.evaluation.rates import MAIN

ERRORS = ("substitutions", "deletions", "insertions")
NAMED = 3
"""Examples in a message."""


@attrs.frozen
class Difference:
    """Two error rates as fractions, and how sure it is that they differ."""

    a: float
    b: float
    difference: float
    """`b - a`: below 0, B is better."""
    low: float
    high: float
    """The central 95 % of the difference under paired resampling."""
    p: float
    """How probable a difference of this size is when A and B are equally good (a paired randomisation test)."""


@attrs.frozen
class Comparison:
    """What B changes over A."""

    rates: dict[str, Difference]
    """By name: those that both evaluations hold."""
    normaliser: str
    utterances: int
    better: int
    """Utterances with fewer errors of the main rate (words) in B."""
    worse: int
    resampled: Literal["utterance", "speaker"]
    units: int
    resamples: int
    seed: int


def compare(a: Mapping[str, Any], b: Mapping[str, Any], resamples: int = 2000, seed: int = 0) -> Comparison:
    """Compare two evaluations as `read_evaluation` gives them.

    The interval resamples utterances (or speakers) together in both, Bisani and Ney, ICASSP 2004; the test swaps A and
    B of each at random (approximate randomisation; Noreen, 1989). DataError with the reason where the normalisers or
    references differ: such rates say nothing of each other.
    """
    ours, theirs = _read_pair(a, b)
    keys = sorted(ours)
    units = resampling_units([ours[key].get("speaker") for key in keys])
    shared = [name for name in ours[keys[0]]["errors"] if all(name in of[keys[0]]["errors"] for of in (ours, theirs))]
    counts = {name: _counts(keys, ours, theirs, name) for name in shared}
    change = counts[MAIN][:, 1] - counts[MAIN][:, 0]
    return Comparison(
        rates={name: _difference(table, units, resamples, seed) for name, table in counts.items()},
        normaliser=str(a["normaliser"]),
        utterances=len(keys),
        better=int((change < 0).sum()),
        worse=int((change > 0).sum()),
        resampled=units.by,
        units=units.count,
        resamples=resamples,
        seed=seed,
    )


def compare_over(
    pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], rate: str, resamples: int = 2000, seed: int = 0
) -> Difference:
    """The difference under one rate of several pairs of evaluations, the errors of each utterance summed over them.

    Each evaluation has `normaliser` and `hypotheses`, the path of theirs. For two ways of training, each from several
    seeds: utterances are resampled, with all that was made of one together. DataError as from `compare`.
    """
    total: Ints | None = None
    keys, speakers, first = [], [], None
    for a, b in pairs:
        ours, theirs = _read_pair(a, b)
        if first is None:
            first, keys = ours, sorted(ours)
            speakers = [ours[key].get("speaker") for key in keys]
        _check_same(first, ours)
        if keys and not all(rate in of[keys[0]]["errors"] for of in (ours, theirs)):
            raise DataError(f"not comparable: {rate} was not counted")
        counts = _counts(keys, ours, theirs, rate)
        total = counts if total is None else total + counts
    if total is None or not keys:
        raise DataError("not comparable: there is no utterance")
    return _difference(total, resampling_units(speakers), resamples, seed)


Key = tuple[str, str]
"""Set and identifier."""


def _read_pair(
    a: Mapping[str, Any], b: Mapping[str, Any]
) -> tuple[dict[Key, dict[str, Any]], dict[Key, dict[str, Any]]]:
    """The records of two evaluations; DataError where they cannot be compared."""
    if a["normaliser"] != b["normaliser"]:
        steps = {str(one["normaliser"]).rpartition("/")[0] for one in (a, b)}
        anew = "score one of them anew: asrlab rescore FILE --set score.normalizer=…"
        way = anew if len(steps) > 1 else "score the older one anew: asrlab rescore FILE"
        raise DataError(f"not comparable: normalised by {a['normaliser']} and by {b['normaliser']}; {way}")
    for what in ("scorer", "normaliser_hash"):
        if (one := a.get(what)) and (other := b.get(what)) and one != other:
            names = f"scored by {one} and by {other}" if what == "scorer" else "their normalisers' tables differ"
            raise DataError(f"not comparable: {names}; score one of them anew: asrlab rescore FILE --set score.…")
    ours, theirs = (_by_utterance(Path(one["hypotheses"])) for one in (a, b))
    _check_same(ours, theirs)
    return ours, theirs


def _by_utterance(path: Path) -> dict[Key, dict[str, Any]]:
    found = {}
    for record in read_hypotheses(path):
        key = (record.get("set", ""), record["id"])
        if key in found:
            raise DataError(f"not comparable: {path} holds {key[1]} twice")
        if not (record.get("errors") and record.get("normalised")):
            raise DataError(f"not comparable: {path} has no counts for {key[1]}; write it with asrlab eval")
        found[key] = record
    return found


def _check_same(ours: Mapping[Key, dict[str, Any]], theirs: Mapping[Key, dict[str, Any]]) -> None:
    for label, missing in (("A", ours.keys() - theirs.keys()), ("B", theirs.keys() - ours.keys())):
        if missing:
            names = ", ".join(id for _, id in sorted(missing)[:NAMED])
            raise DataError(f"not comparable: utterances in {label} alone: {len(missing)} ({names}, …)")
    other = [k for k in sorted(ours) if ours[k]["normalised"]["reference"] != theirs[k]["normalised"]["reference"]]
    if other:
        one, two = ours[other[0]]["normalised"]["reference"], theirs[other[0]]["normalised"]["reference"]
        raise DataError(
            f"not comparable: references that differ: {len(other)}; that of {other[0][1]} is {one!r} in A, {two!r} in B"
        )


def _counts(
    keys: Sequence[Key], ours: Mapping[Key, dict[str, Any]], theirs: Mapping[Key, dict[str, Any]], rate: str
) -> Ints:
    """(N, 3) under one rate: errors of A, errors of B, units of the reference."""
    rows = []
    for key in keys:
        a, b = ours[key]["errors"][rate], theirs[key]["errors"][rate]
        rows.append([*(sum(one[e] for e in ERRORS) for one in (a, b)), a["reference"]])
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def _difference(counts: Ints, units: Units, resamples: int, seed: int) -> Difference:
    a, b, size = (int(n) for n in counts.sum(0))
    totals = units.total(np.stack([counts[:, 1] - counts[:, 0], counts[:, 2]], axis=1))
    drawn = resample_totals(totals, resamples, seed)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(drawn[:, 0] / np.maximum(1, drawn[:, 1]), tails)
    p = _randomised(totals[:, 0], resamples, seed)
    rates = error_rate(a, size), error_rate(b, size)
    return Difference(*rates, rates[1] - rates[0], float(low), float(high), p)


def _randomised(change: Ints, resamples: int, seed: int) -> float:
    """Share of random swaps that change the errors at least as much as was seen, the seen one counted in."""
    change = change[change != 0]
    if not len(change):
        return 1.0
    rng = np.random.Generator(np.random.Philox(seed))
    observed, extreme = abs(int(change.sum())), 0
    step = max(1, DRAWS_AT_ONCE // len(change))
    for start in range(0, resamples, step):
        swaps = rng.integers(2, size=(min(step, resamples - start), len(change)), dtype=np.int8)
        extreme += int((np.abs((2 * swaps.astype(np.float64) - 1) @ change) >= observed).sum())
    return (extreme + 1) / (resamples + 1)
