"""Errors of each utterance under every rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr_lab.evaluation.rates import rates

SUBSTITUTIONS, DELETIONS, INSERTIONS, REFERENCE = range(4)
"""Columns of a table of counts."""

Counts = NDArray[np.int64]
"""(N, 4): each utterance's substitutions, deletions, insertions, and units in its reference."""


def count_errors(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, Counts]:
    """Counts over normalised texts, by the name of the rate."""
    pairs = list(zip(references, hypotheses, strict=True))
    return {
        name: np.array([rate.count(*pair) for pair in pairs], dtype=np.int64).reshape(-1, 4)
        for name, rate in rates().items()
    }


def num_errors(counts: Counts) -> Counts:
    """Substitutions, deletions and insertions together: (N,)."""
    total: Counts = counts[:, :REFERENCE].sum(1)
    return total


def error_rate(errors: int, reference: int) -> float:
    """Errors per unit of the reference; over an empty reference the number of errors, as jiwer has it.

    Tables show a dash there.
    """
    return errors / max(1, reference)
