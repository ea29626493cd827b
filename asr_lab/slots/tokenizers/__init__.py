"""Slot `[tokenizer]`: from text to token numbers and back. Token 0 is the blank, token 1 the end of text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.config.section import Slot

if TYPE_CHECKING:
    from asr_lab.text.vocabulary import Vocabulary


class Tokenizer(Slot):
    """How text becomes tokens."""

    @property
    def size(self) -> int:  # type: ignore[empty-body]
        """Tokens, V, the blank and the end of text included."""

    @property
    def learns(self) -> bool:
        """Whether it is trained from the training text, and kept with the run."""
        return False

    def train(self, texts: Iterable[str], folder: Path) -> None:
        """Learn from the training text and write what `build` reads into `folder` (only where `learns`)."""

    def build(self, folder: Path | None = None) -> Vocabulary:
        """The tokenizer; `folder` is the run's tokenizer directory, read by those that learn."""
        raise NotImplementedError
