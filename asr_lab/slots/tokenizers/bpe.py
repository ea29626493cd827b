"""Pieces of words by byte-pair encoding, trained from the training text and kept with the run."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.slots.tokenizers import PieceTokenizer


@section
class BPE(PieceTokenizer):
    """The most frequent pairs of pieces merged, again and again (Sennrich et al., arXiv 1508.07909)."""
