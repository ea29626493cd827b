"""Pieces of words by byte-pair encoding, trained from the training text and kept with the run."""

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
class BPE(Tokenizer):
    """The most frequent pairs of pieces merged, again and again (Sennrich et al., arXiv 1508.07909)."""

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

        train_pieces(texts, "bpe", self.vocab_size, folder)

    def build(self, folder: Path | None = None) -> SentencePieceTokenizer:
        from asr_lab.text.sentencepiece import SentencePieceTokenizer

        if folder is None:
            raise ValueError("a bpe tokenizer is read from the folder that it was trained into")
        return SentencePieceTokenizer.read(folder)
