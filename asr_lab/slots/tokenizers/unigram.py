"""Pieces of words by a unigram language model, trained from the training text and kept with the run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import validators as v

from asr_lab.config.section import section
from asr_lab.slots.tokenizers import Tokenizer

if TYPE_CHECKING:
    from asr_lab.text.sentencepiece import SentencePieceTokenizer


@section
class Unigram(Tokenizer):
    """The likeliest split of each word under a unigram language model (Kudo, arXiv 1804.10959)."""

    vocab_size: int = attrs.field(validator=v.ge(4))
    """Tokens, V; the blank, the end of text and `<unk>` included."""

    @property
    def size(self) -> int:
        return self.vocab_size

    @property
    def learns(self) -> bool:
        return True

    def train(self, texts: Iterable[str], folder: Path) -> None:
        from asr_lab.text.sentencepiece import train_pieces

        train_pieces(texts, "unigram", self.vocab_size, folder)

    def build(self, folder: Path | None = None) -> SentencePieceTokenizer:
        from asr_lab.text.sentencepiece import SentencePieceTokenizer

        if folder is None:
            raise ValueError("a unigram tokenizer is read from the folder that it was trained into")
        return SentencePieceTokenizer.read(folder)
