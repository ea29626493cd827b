"""Errors of each utterance, counted over words and over characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

SUBSTITUTIONS, DELETIONS, INSERTIONS, REFERENCE = range(4)
"""Columns of a table of counts."""

Counts = NDArray[np.int64]
"""(N, 4): each utterance's substitutions, deletions, insertions, and units in its reference."""

_COLUMN = {"replace": SUBSTITUTIONS, "delete": DELETIONS, "insert": INSERTIONS}


class ErrorCounts(NamedTuple):
    """Words and characters of the same utterances."""

    words: Counts
    characters: Counts


def count_errors(references: Sequence[str], hypotheses: Sequence[str]) -> ErrorCounts:
    """Counts over normalised texts, the same as jiwer's `process_words` and `process_characters`.

    Words are what white space separates. Characters are code points, the blank between two words included: a lost word
    boundary is an error, as in jiwer. Among alignments of equal distance it is rapidfuzz's, as in jiwer.
    """
    words = np.zeros((len(references), 4), dtype=np.int64)
    characters = np.zeros((len(references), 4), dtype=np.int64)
    for row, (reference, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        spoken = reference.split()
        words[row, REFERENCE] = len(spoken)
        characters[row, REFERENCE] = len(reference)
        if reference != hypothesis:
            _count(words, row, spoken, hypothesis.split())
            _count(characters, row, reference, hypothesis)
    return ErrorCounts(words, characters)


def _count(counts: Counts, row: int, reference: Sequence[str], hypothesis: Sequence[str]) -> None:
    for edit in Levenshtein.editops(reference, hypothesis):
        counts[row, _COLUMN[edit.tag]] += 1


def num_errors(counts: Counts) -> Counts:
    """Substitutions, deletions and insertions together: (N,)."""
    total: Counts = counts[:, :REFERENCE].sum(1)
    return total


def error_rate(errors: int, reference: int) -> float:
    """Errors per unit of the reference; over an empty reference the number of errors, as jiwer has it."""
    return errors / max(1, reference)
