"""How a step is cut for several processes: as many microbatches for each, and as even ones as can be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_HALVINGS = 40
_SLACK = 1e-12
"""Of a size, for the last digit of a division."""


def cut_evenly(
    durations_s: NDArray[np.float64], starts: NDArray[np.int64], size_s: float, parts: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut steps into microbatches of at most `size_s` padded seconds, a multiple of `parts` in each step.

    `durations_s` (N,) are those of the examples, step after step, longest first within each; step k begins at
    `starts[k]`, (K + 1,). Of all ways to cut a step into so few that none passes `size_s`, the one whose largest is
    smallest is taken; a step of few examples has empty ones at its end. An example longer than `size_s` gets one to
    itself. Returned are where each microbatch begins, (M + 1,), and each step's first microbatch, (K + 1,).
    """
    first, end = starts[:-1], starts[1:]
    needed = _count(durations_s, first, end, np.full(len(first), size_s))
    numbers = -(-needed // parts) * parts
    high = np.maximum(size_s, durations_s[first])  # passes no step by more than one example
    low = durations_s[first]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = _count(durations_s, first, end, middle, numbers) <= numbers
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    begins, places = [], first.copy()
    for part in range(int(numbers.max(initial=0))):
        begins.append(np.where(part < numbers, places, -1))
        places = _after(durations_s, places, end, high)
    grid = np.stack(begins, 1) if begins else np.zeros((len(first), 0), np.int64)
    cuts = np.append(grid[grid >= 0], starts[-1])
    return cuts.astype(np.int64), np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64)


def deal(sizes_s: Sequence[float], ranks: int) -> list[list[int]]:
    """Which microbatches of a step each rank takes, as many each, so that all finish together.

    `sizes_s` are padded seconds. Where there is one for each rank they go in order; else the longest first, each round
    to those that have least so far. The longest of a rank comes first.
    """
    rounds, left = divmod(len(sizes_s), ranks)
    assert not left, "a step's microbatches are a multiple of the ranks"
    if rounds == 1:
        return [[place] for place in range(ranks)]
    if ranks == 1:
        return [list(range(len(sizes_s)))]
    shares: list[list[int]] = [[] for _ in range(ranks)]
    loads = [0.0] * ranks
    longest_first = sorted(range(len(sizes_s)), key=lambda place: (-sizes_s[place], place))
    for number in range(rounds):
        least_first = sorted(range(ranks), key=lambda rank: (loads[rank], rank))
        for rank, place in zip(least_first, longest_first[number * ranks : (number + 1) * ranks], strict=True):
            shares[rank].append(place)
            loads[rank] += sizes_s[place]
    return shares


def _count(
    durations_s: NDArray[np.float64],
    first: NDArray[np.int64],
    end: NDArray[np.int64],
    size_s: NDArray[np.float64],
    most: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """How many microbatches of a size each step takes; one more than `most` stands for any that are more."""
    counts, places = np.zeros(len(first), np.int64), first.copy()
    while (open_ := places < end).any():
        counts += open_
        places = _after(durations_s, places, end, size_s)
        if most is not None and (counts[places < end] >= most[places < end]).all():
            return counts + (places < end)
    return counts


def _after(
    durations_s: NDArray[np.float64], places: NDArray[np.int64], end: NDArray[np.int64], size_s: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Where the microbatch that begins at each place ends."""
    longest = np.maximum(durations_s[np.minimum(places, len(durations_s) - 1)], 1e-9)
    most = np.maximum(1, np.floor(size_s / longest * (1 + _SLACK))).astype(np.int64)
    ends: NDArray[np.int64] = np.minimum(places + most, end)
    return ends
