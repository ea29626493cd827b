"""Slot `[tokenizer]`: from text to token numbers and back. Token 0 is the blank, token 1 the end of text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import Slot, section

if TYPE_CHECKING:
    from asr_lab.text.sentencepiece import SentencePieceTokenizer
    from asr_lab.text.vocabulary import Vocabulary


class Tokenizer(Slot):
    """How text becomes tokens."""

    @property
    def size(self) -> int:  # type: ignore[empty-body]
        """Tokens, V, the blank and the end of text included; what `assumes` says where that is not known yet."""

    @property
    def assumes(self) -> str:
        """What `size` supposes of a training text that is not read; "" where it needs none."""
        return ""

    @property
    def learns(self) -> bool:
        """Whether it is trained from the training text, and kept with the run."""
        return False

    def train(self, texts: Iterable[str], folder: Path) -> None:
        """Learn from the training text and write what `build` reads into `folder` (only where `learns`)."""

    def build(self, folder: Path | None = None) -> Vocabulary:
        """The tokenizer; `folder` is the run's tokenizer directory, read by those that learn."""
        raise NotImplementedError


@section
class PieceTokenizer(Tokenizer):
    """What the tokenizers share that sentencepiece trains; their tag is its model type."""

    vocab_size: int = attrs.field(validator=v.between(4, 1_000_000))
    """Tokens, V; the blank, the end of text and `<unk>` included."""

    @property
    def size(self) -> int:
        return self.vocab_size

    @property
    def learns(self) -> bool:
        return True

    def train(self, texts: Iterable[str], folder: Path) -> None:
        from asr_lab.text.sentencepiece import train_pieces

        train_pieces(texts, self.tag(), self.vocab_size, folder)

    def build(self, folder: Path | None = None) -> SentencePieceTokenizer:
        from asr_lab.text.sentencepiece import SentencePieceTokenizer

        if folder is None:
            raise ValueError(f"a {self.tag()} tokenizer is read from the folder that it was trained into")
        return SentencePieceTokenizer.read(folder)
