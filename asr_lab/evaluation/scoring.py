"""Scores: error rates with their counts, their intervals, and what they are of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import attrs
import numpy as np

from asr_lab.evaluation.bootstrap import Ints, rate_interval, resampling_units
from asr_lab.evaluation.error_counts import (
    REFERENCE,
    Counts,
    Scorer,
    count_errors,
    error_rate,
    num_errors,
    scorer_hash,
    scorer_name,
)
from asr_lab.evaluation.rates import MAIN, UnitErrors
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.text.normalizer import TextNormalizer

LENGTHS_S = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Where the table by length is cut, in seconds."""
GROUPED_BY = ("speaker", "language")
"""Columns of the manifest that get a table of their own."""
MAX_ROWS = 1000
"""A column with more values than this gets no table."""


@attrs.frozen
class Rate:
    """An error rate as a fraction, with the counts it comes from and the central 95 % of its resamples."""

    value: float
    low: float
    high: float
    substitutions: int
    deletions: int
    insertions: int
    reference: int
    """Units in the references."""

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions


@attrs.frozen
class Slice:
    """Some of the utterances, scored: those of one speaker, or of about one length."""

    label: str
    utterances: int
    audio_s: float
    rates: dict[str, Rate]
    """By name."""

    @property
    def main(self) -> Rate:
        """The rate that stands for the others."""
        return self.rates[MAIN]


@attrs.frozen
class Scored:
    """One utterance with its normalised texts and its errors."""

    transcript: DecodedUtterance
    reference: str
    hypothesis: str
    errors: dict[str, UnitErrors]
    """By the name of the rate."""

    @property
    def num_errors(self) -> int:
        """Errors of the main rate: in words."""
        return self.errors[MAIN].errors


@attrs.frozen
class SetScore:
    """How well a set of utterances was recognised."""

    name: str
    """The set's, as the recipe or the command line has it."""
    rates: dict[str, Rate]
    """By name."""
    normaliser: str
    """Name and version of what was done to both texts."""
    normaliser_hash: str
    """SHA-256 of that and of all that decides its texts; "" where it is not known."""
    scorer: str
    """Name and version of how words were matched."""
    scorer_hash: str
    utterances: int
    audio_s: float
    hash: str
    """SHA-256 over the identifiers, lengths and written references of the utterances, in any order."""
    resampled: Literal["utterance", "speaker"]
    """What the interval resamples."""
    units: int
    """How many of them there are."""
    resamples: int
    seed: int
    tables: dict[str, tuple[Slice, ...]]
    """`length`, and `speaker` and `language` where the manifest has them."""
    scored: tuple[Scored, ...]
    """Every utterance, in the order given."""

    @property
    def main(self) -> Rate:
        """The rate that stands for the others."""
        return self.rates[MAIN]

    def worst(self, count: int) -> list[Scored]:
        """Utterances with the most word errors, worst first; those without an error are left out."""
        wrong = [s for s in self.scored if s.num_errors]
        return sorted(wrong, key=lambda s: (-s.num_errors, s.transcript.id))[:count]


def score(
    transcripts: Sequence[DecodedUtterance],
    normalizer: TextNormalizer,
    bootstrap: int,
    seed: int,
    name: str = "",
    scorer: Scorer = "plain",
) -> SetScore:
    """Every error rate of transcripts after normalising both texts, with 95 % bootstrap intervals.

    The rates are errors summed over utterances by reference units summed, jiwer's definition. The interval is the
    central 95 % of `bootstrap` resamples: of speakers where all are known and there are enough, else of utterances
    (`bootstrap.resampling_units`). A CER counts blanks between words. Raises ValueError without a transcript.
    """
    if not transcripts:
        raise ValueError(f"no transcripts to score in {name or 'the set'}")
    languages = [_column(t, "language") or "" for t in transcripts]
    references = [normalizer(t.reference, one) for t, one in zip(transcripts, languages, strict=True)]
    hypotheses = [normalizer(t.hypothesis, one) for t, one in zip(transcripts, languages, strict=True)]
    counts = count_errors(references, hypotheses, scorer)
    units = resampling_units([_column(t, "speaker") for t in transcripts])
    return SetScore(
        name=name,
        rates=_rates(counts, units.total, bootstrap, seed),
        normaliser=normalizer.name,
        normaliser_hash=normalizer.hash,
        scorer=scorer_name(scorer),
        scorer_hash=scorer_hash(scorer),
        utterances=len(transcripts),
        audio_s=sum(t.duration_s for t in transcripts),
        hash=set_hash(transcripts),
        resampled=units.by,
        units=units.count,
        resamples=bootstrap,
        seed=seed,
        tables=_tables(transcripts, counts, bootstrap, seed),
        scored=tuple(
            Scored(t, r, h, {name: UnitErrors(*table[row].tolist()) for name, table in counts.items()})
            for row, (t, r, h) in enumerate(zip(transcripts, references, hypotheses, strict=True))
        ),
    )


def set_hash(transcripts: Sequence[DecodedUtterance]) -> str:
    """What identifies the utterances scored: SHA-256, hexadecimal, the same in any order."""
    lines = sorted(json.dumps([t.id, round(t.duration_s, 2), t.reference], ensure_ascii=False) for t in transcripts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _rates(counts: Mapping[str, Counts], total: Callable[[Ints], Ints], resamples: int, seed: int) -> dict[str, Rate]:
    errors = total(np.stack([num_errors(c) for c in counts.values()], axis=1))
    reference = total(np.stack([c[:, REFERENCE] for c in counts.values()], axis=1))
    intervals = rate_interval(errors, reference, resamples, seed)
    return {name: _rate(counts[name], interval) for name, interval in zip(counts, intervals, strict=True)}


def _rate(counts: Counts, interval: tuple[float, float]) -> Rate:
    sums = UnitErrors(*counts.sum(0).tolist())
    return Rate(error_rate(sums.errors, sums.reference), *interval, *sums)


def _tables(
    transcripts: Sequence[DecodedUtterance], counts: Mapping[str, Counts], resamples: int, seed: int
) -> dict[str, tuple[Slice, ...]]:
    tables = {}
    for column in GROUPED_BY:
        labels = [_column(t, column) or "(not given)" for t in transcripts]
        found = sorted(set(labels))
        if found != ["(not given)"] and len(found) <= MAX_ROWS:
            tables[column] = _rows(transcripts, counts, labels, found, resamples, seed)
    bins = np.searchsorted(LENGTHS_S, [t.duration_s for t in transcripts], side="right")
    names = _length_labels()
    labels = [names[i] for i in bins.tolist()]
    tables["length"] = _rows(transcripts, counts, labels, [n for n in names if n in set(labels)], resamples, seed)
    return tables


def _rows(
    transcripts: Sequence[DecodedUtterance],
    counts: Mapping[str, Counts],
    labels: Sequence[str],
    order: Sequence[str],
    resamples: int,
    seed: int,
) -> tuple[Slice, ...]:
    members: dict[str, list[int]] = {label: [] for label in order}
    for number, label in enumerate(labels):
        members[label].append(number)
    rows = []
    for label, numbers in members.items():
        part = {name: table[numbers] for name, table in counts.items()}
        units = resampling_units([_column(transcripts[i], "speaker") for i in numbers])
        found = _rates(part, units.total, resamples, seed)
        rows.append(Slice(label, len(numbers), sum(transcripts[i].duration_s for i in numbers), found))
    return tuple(rows)


def _column(transcript: DecodedUtterance, name: str) -> str | None:
    value: Any = transcript.columns.get(name)
    return None if value in (None, "", "unknown") else str(value)


def _length_labels() -> list[str]:
    edges = [f"{edge:g}" for edge in LENGTHS_S]
    return [f"< {edges[0]} s", *(f"{a}-{b} s" for a, b in pairwise(edges)), f">= {edges[-1]} s"]
