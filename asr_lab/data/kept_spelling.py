"""What spelling the texts of many cuts gave, kept in the cache."""

from __future__ import annotations

import warnings

import attrs
import numpy as np
from numpy.typing import NDArray

from asr_lab.data.kept_arrays import Array, KeptArrays
from asr_lab.data.kept_sets import keep, kept
from asr_lab.data.packed import Ragged, Strings
from asr_lab.data.utterance import BadCut


@attrs.frozen(eq=False)
class Spelling:
    """The N of some cuts that can be learned from, and why the others cannot."""

    kept: NDArray[np.int64]  # (N,) row of the cuts
    texts: Strings
    """Normalised transcripts, (N,)."""
    tokens: Ragged
    """Token numbers, (N,)."""
    tight: NDArray[np.bool_]  # (N,) faster speech might leave too few frames for the tokens
    bad: tuple[BadCut, ...]
    missing: str
    """The characters that the vocabulary lacks, by code point."""


def kept_spelling(key: str, num_cuts: int) -> Spelling | None:
    """What was kept under a key, of so many cuts; None where nothing was."""
    found = kept(key)
    if found is None:
        return None
    try:
        return _spelling(found, num_cuts)
    except (KeyError, TypeError, ValueError):
        warnings.warn("what the cache has of the training texts is of another form; it is made anew", stacklevel=2)
        return None


def keep_spelling(key: str, spelling: Spelling, num_cuts: int) -> Spelling:
    """Keep a spelling; the same one, in the cache's file where that could be written."""
    block, ends = spelling.texts.packed
    arrays: dict[str, Array] = {
        "kept": spelling.kept,
        "texts.block": block,
        "texts.ends": ends,
        "tokens": spelling.tokens.values,
        "tokens.ends": spelling.tokens.ends,
        "tight": spelling.tight.view(np.uint8),
    }
    found = keep(key, arrays, {"bad": spelling.bad, "missing": spelling.missing})
    return spelling if found is None else _spelling(found, num_cuts)


def _spelling(found: KeptArrays, num_cuts: int) -> Spelling:
    """KeyError, TypeError or ValueError for what is none."""
    arrays, rest = found
    spelling = Spelling(
        kept=arrays["kept"],
        texts=Strings.of(arrays["texts.block"].data, arrays["texts.ends"]),
        tokens=Ragged(arrays["tokens"], arrays["tokens.ends"]),
        tight=arrays["tight"].view(np.bool_),
        bad=tuple(BadCut(*one) for one in rest["bad"]),
        missing=str(rest["missing"]),
    )
    count = len(spelling.kept)
    if not len(spelling.texts) == len(spelling.tokens) == len(spelling.tight) == count or count > num_cuts:
        raise ValueError("arrays of several lengths")
    return spelling
