"""The batch plan of an epoch: a pure function of durations, seed and sizes."""

from __future__ import annotations

import math

import attrs
import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.keyed_random import Keys, mix, uniform
from asr_lab.data.sharing import cut_evenly

BUCKET_RATIO = 1.2
"""Longest over shortest utterance of a bucket."""


@attrs.frozen(eq=False)
class Plan:
    """Which examples each step and each of its microbatches holds; a step is an index look-up."""

    order: NDArray[np.int64]  # (N,) example numbers, step after step
    microbatches: NDArray[np.int64]  # (M + 1,) microbatch m is order[microbatches[m] : microbatches[m + 1]]
    steps: NDArray[np.int64]  # (K + 1,) step k is microbatches steps[k] to steps[k + 1]

    @property
    def num_steps(self) -> int:
        """Steps of the epoch, K."""
        return len(self.steps) - 1

    @property
    def num_microbatches(self) -> int:
        """Microbatches of the epoch, M."""
        return len(self.microbatches) - 1

    def microbatch(self, index: int) -> NDArray[np.int64]:
        """The examples of microbatch `index`."""
        return self.order[self.microbatches[index] : self.microbatches[index + 1]]

    def step(self, index: int) -> list[NDArray[np.int64]]:
        """The examples of step `index`, microbatch by microbatch."""
        return [self.microbatch(m) for m in range(self.steps[index], self.steps[index + 1])]


def plan_epoch(
    durations_s: NDArray[np.float64], keys: Keys, *, batch_s: float, max_rank_batch_s: float, parts: int = 1
) -> Plan:
    """The plan for examples of these durations (N,), as they are after perturbation.

    `keys` (N,) hold seed, epoch and utterance; they alone decide the order, so that no version of a generator does.
    Examples are put into buckets of similar length whose edges move from epoch to epoch, shuffled there, and taken in
    turn until a step is full: n examples of at most d seconds fill it when n * d would pass `batch_s` padded seconds.
    Steps are shuffled. What a step holds does not depend on `max_rank_batch_s` and `parts`, which only cut it into
    microbatches, longest examples first: as many as it takes, or evenly into a multiple of `parts` (`cut_evenly`). An
    example longer than a batch gets one to itself.
    """
    if batch_s <= 0 or max_rank_batch_s <= 0:
        raise ValueError(f"batch_s and max_rank_batch_s must be above 0, got {batch_s} and {max_rank_batch_s}")
    num_examples = len(durations_s)
    if not num_examples:
        return Plan(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64))
    # One number for the whole epoch, whatever the examples' order.
    epoch_key = mix(np.bitwise_xor.reduce(keys), 1)
    width = math.log(BUCKET_RATIO)
    shift = float(uniform(epoch_key)[0])
    buckets = np.floor(np.log(np.maximum(durations_s, 1e-3)) / width + shift).astype(np.int32)
    order = np.lexsort((mix(keys, 2), buckets))
    starts = fill(durations_s[order], batch_s)
    sizes = np.diff(np.append(starts, num_examples))
    shuffled = np.argsort(mix(keys[order[starts]], 3), kind="stable")
    lengths = sizes[shuffled]
    step_ends = np.concatenate([[0], np.cumsum(lengths)])
    # The steps' examples one after another in the shuffled order, longest first within a step.
    step_of = np.repeat(np.arange(len(shuffled)), lengths)
    places = np.repeat(starts[shuffled] - step_ends[:-1], lengths) + np.arange(num_examples)
    order = order[places]
    order = order[np.lexsort((mix(keys[order], 4), -durations_s[order], step_of))]
    if parts > 1:
        return Plan(order, *cut_evenly(durations_s[order], step_ends, max_rank_batch_s, parts))
    cuts = fill(durations_s[order], max_rank_batch_s, step_ends[:-1])
    microbatches = np.append(cuts, num_examples)
    return Plan(order, microbatches, np.searchsorted(microbatches, step_ends))


def fill(durations_s: NDArray[np.float64], size_s: float, forced: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Where each batch starts when examples are taken in turn up to `size_s` padded seconds; at `forced` anyway."""
    starts = [0]
    first, longest = 0, 0.0
    stops = set() if forced is None else set(forced.tolist())
    for place, duration_s in enumerate(durations_s.tolist()):
        longest = duration_s if duration_s > longest else longest
        if place > first and ((place - first + 1) * longest > size_s or place in stops):
            starts.append(place)
            first, longest = place, duration_s
    return np.array(starts, dtype=np.int64)
