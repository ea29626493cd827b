"""What one epoch trains on: each example is an utterance or several joined, with its key and its length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.keyed_random import Keys, mix, uniform
from asr_lab.data.cuts import Part
from asr_lab.data.packed import Ragged
from asr_lab.data.utterance import Joining

MAX_REDRAWS = 32


@attrs.frozen(eq=False)
class Examples:
    """E examples; the order means nothing."""

    rows: Ragged
    """Rows of the corpus, those of one example one after another."""
    gaps_s: NDArray[np.float64]  # silence before each of `rows.values`, 0 before an example's first
    keys: Keys  # (E,) from seed, epoch and utterance
    durations_s: NDArray[np.float64]  # (E,) after perturbation

    def __len__(self) -> int:
        return len(self.keys)


@attrs.frozen
class LanguageShare:
    """A language's part of the audio, 0..1."""

    there: float
    """In the sets, with their weights."""
    drawn: float
    """In an epoch."""


def draw_examples(
    durations_s: NDArray[np.float64],
    keys: Keys,
    part: NDArray[np.int16],
    group: NDArray[np.int64],
    tight: NDArray[np.bool_],
    parts: Sequence[Part],
    *,
    seed: int,
    epoch: int,
    duration_factors: Callable[[Keys], NDArray[np.float64]],
    language: NDArray[np.int32] | None = None,
    temperature: float = 1.0,
) -> Examples:
    """The examples of an epoch, a pure function of its arguments; all arrays but `parts` are (N,).

    A part of weight 2.5 passes twice, and a drawn half of it a third time; at a temperature, the utterances of each
    language pass as often more or less as its share of the audio asks for (`language_weights`). Tight utterances get
    no perturbation that shortens them: their keys are drawn again.
    """
    rows: list[NDArray[np.int64]] = []
    gaps: list[NDArray[np.float64]] = []
    sizes: list[NDArray[np.int64]] = []
    example_keys: list[Keys] = []
    for own, settings, weight in _sets(durations_s, part, parts, language, temperature):
        for copy in range(int(np.ceil(weight))):
            drawn = mix(keys[own], seed, epoch, copy)
            share = min(weight - copy, 1.0)
            picked = np.argsort(mix(drawn, 1), kind="stable")[: round(share * len(own))]
            picked = np.sort(picked)
            taken, its_keys = own[picked], drawn[picked]
            if settings.join is None:
                size = np.ones(len(taken), dtype=np.int64)
                gap = np.zeros(len(taken))
            else:
                order, size, gap = _join(durations_s[taken], its_keys, group[taken], settings.join)
                taken, its_keys = taken[order], its_keys[order]
            rows.append(taken)
            gaps.append(gap)
            sizes.append(size)
            example_keys.append(its_keys[np.cumsum(size) - size])
    all_rows, all_gaps = np.concatenate(rows), np.concatenate(gaps)
    ends = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    lengths_s = np.add.reduceat(durations_s[all_rows] + all_gaps, ends[:-1]) if len(all_rows) else np.zeros(0)
    strained = np.add.reduceat(tight[all_rows], ends[:-1]) > 0 if len(all_rows) else np.zeros(0, np.bool_)
    new_keys, factors = _redraw(np.concatenate(example_keys), strained, duration_factors)
    return Examples(Ragged(all_rows.astype(np.int32), ends), all_gaps, new_keys, lengths_s * factors)


def language_weights(audio_s: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """How often each language's utterances pass, (L,), for its seconds of audio (L,); the epoch's total stays.

    A language with the share p of the audio gets one that goes as p^(1 / T): 1 leaves it, infinity makes all equal.
    Source: Conneau et al. (XLSR), arXiv 2006.13979, whose alpha is 1 / T.
    """
    shares = audio_s / audio_s.sum()
    wanted: NDArray[np.float64] = shares ** (1 / temperature)
    found: NDArray[np.float64] = wanted / wanted.sum() / shares
    return found


def _sets(
    durations_s: NDArray[np.float64],
    part: NDArray[np.int16],
    parts: Sequence[Part],
    language: NDArray[np.int32] | None,
    temperature: float,
) -> Iterator[tuple[NDArray[np.int64], Part, float]]:
    """What is drawn from together: its utterances' places, their part, and how often they pass."""
    if language is None or temperature == 1 or not len(language):
        for number, settings in enumerate(parts):
            yield np.flatnonzero(part == number), settings, settings.weight
        return
    passing_s = durations_s * np.array([settings.weight for settings in parts])[part]
    numbers, places = np.unique(language, return_inverse=True)
    weights = language_weights(np.bincount(places, passing_s, len(numbers)).astype(np.float64), temperature)
    for number, settings in enumerate(parts):
        own = np.flatnonzero(part == number)
        for one in np.unique(places[own]):
            yield own[places[own] == one], settings, settings.weight * float(weights[one])


def _redraw(
    keys: Keys, strained: NDArray[np.bool_], duration_factors: Callable[[Keys], NDArray[np.float64]]
) -> tuple[Keys, NDArray[np.float64]]:
    """Keys whose factor is no less than 1 where `strained`, and everyone's factors."""
    factors = duration_factors(keys)
    for _ in range(MAX_REDRAWS):
        wrong = np.flatnonzero(strained & (factors < 1))
        if not len(wrong):
            break
        keys = keys.copy()
        keys[wrong] = mix(keys[wrong], 2)
        factors[wrong] = duration_factors(keys[wrong])
    return keys, factors


def _join(
    durations_s: NDArray[np.float64], keys: Keys, group: NDArray[np.int64], join: Joining
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """An order (n,) of the utterances, how many at a time make an example, and the silence before each (n,)."""
    order = np.lexsort((mix(keys, 3), group))
    span = join.max_utterances - join.min_utterances + 1
    wanted = (join.min_utterances + uniform(mix(keys[order], 4)) * span).astype(np.int64).tolist()
    low_s, high_s = join.gap_s
    gaps = low_s + uniform(mix(keys[order], 5)) * (high_s - low_s)
    sizes: list[int] = []
    size, limit, length_s, last = 0, 0, 0.0, -1
    members = zip(durations_s[order].tolist(), gaps.tolist(), group[order].tolist(), wanted, strict=True)
    for place, (duration_s, gap_s, its_group, number) in enumerate(members):
        if size and its_group == last and size < limit and length_s + gap_s + duration_s <= join.max_s:
            size, length_s = size + 1, length_s + gap_s + duration_s
            continue
        if size:
            sizes.append(size)
        gaps[place] = 0.0
        size, limit, length_s, last = 1, number, duration_s, its_group
    if size:
        sizes.append(size)
    return order, np.array(sizes, dtype=np.int64), gaps
