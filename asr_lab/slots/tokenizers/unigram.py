"""Pieces of words by a unigram language model, trained from the training text and kept with the run."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.slots.tokenizers import PieceTokenizer


@section
class Unigram(PieceTokenizer):
    """The likeliest split of each word under a unigram language model (Kudo, arXiv 1804.10959)."""
