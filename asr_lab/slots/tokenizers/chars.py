"""One token per character of an alphabet: that of the training text, or a declared one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.tokenizers import Tokenizer
from asr_lab.text.characters import CharacterTokenizer, no_alphabet, read_alphabet, take_alphabet

AUTO = "auto"
AUTO_SIZE = 64
"""Characters that an alphabet counts with while its text is not known."""


@section
class Chars(Tokenizer):
    """One token per character; a training text with a character outside the alphabet is left out."""

    alphabet: str = attrs.field(default=AUTO, validator=v.checked_by(no_alphabet))
    """`"auto"`: every character that the training text holds after `text.steps`, kept with the run.

    Or the characters (code points) themselves, the blank between words included; a combining mark is one.
    """

    @property
    def size(self) -> int:
        return (AUTO_SIZE if self.learns else len(self.alphabet)) + 2

    @property
    def assumes(self) -> str:
        if not self.learns:
            return ""
        return f'tokenizer.alphabet = "auto" is counted as {AUTO_SIZE} characters; the training text decides'

    @property
    def learns(self) -> bool:
        return self.alphabet == AUTO

    def train(self, texts: Iterable[str], folder: Path) -> None:
        if self.learns:
            take_alphabet(texts, folder)

    def build(self, folder: Path | None = None) -> CharacterTokenizer:
        if not self.learns:
            return CharacterTokenizer(self.alphabet)
        if folder is None:
            raise ValueError("an alphabet of the training text is read from the folder that it was written into")
        return CharacterTokenizer(read_alphabet(folder))
