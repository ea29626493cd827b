"""Errors of each utterance under every rate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asr_lab.evaluation.rates import ErrorRate, UnitErrors, rates

SUBSTITUTIONS, DELETIONS, INSERTIONS, REFERENCE = range(4)
"""Columns of a table of counts."""

Counts = NDArray[np.int64]
"""(N, 4): each utterance's substitutions, deletions, insertions, and units in its reference."""


Scorer = Literal["plain", "merge_compounds"]
"""How words are matched: as they are, or also several with one that is them written together."""
SCORER_VERSION = "1"
"""Raised whenever a scorer counts otherwise than before."""


def scorer_name(scorer: Scorer) -> str:
    """What a score says of it: `plain/1`."""
    return f"{scorer}/{SCORER_VERSION}"


def scorer_hash(scorer: Scorer) -> str:
    """SHA-256, hexadecimal, of its name."""
    return hashlib.sha256(scorer_name(scorer).encode()).hexdigest()


def count_errors(references: Sequence[str], hypotheses: Sequence[str], scorer: Scorer = "plain") -> dict[str, Counts]:
    """Counts over normalised texts, by the name of the rate."""
    pairs = list(zip(references, hypotheses, strict=True))
    return {
        name: np.array([_count(rate, scorer)(*pair) for pair in pairs], dtype=np.int64).reshape(-1, 4)
        for name, rate in rates().items()
    }


def _count(rate: ErrorRate, scorer: Scorer) -> Callable[[str, str], UnitErrors]:
    return rate.count if scorer == "plain" else rate.count_merged


def num_errors(counts: Counts) -> Counts:
    """Substitutions, deletions and insertions together: (N,)."""
    total: Counts = counts[:, :REFERENCE].sum(1)
    return total


def error_rate(errors: int, reference: int) -> float:
    """Errors per unit of the reference; over an empty reference the number of errors, as jiwer has it.

    Tables show a dash there.
    """
    return errors / max(1, reference)
