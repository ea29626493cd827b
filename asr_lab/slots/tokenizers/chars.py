"""One token per character of a declared alphabet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.tokenizers import Tokenizer
from asr_lab.text.characters import ENGLISH, CharacterTokenizer


def _no_alphabet(characters: str) -> str | None:
    if not characters:
        return "must hold at least one character"
    twice = [c for c, n in Counter(characters).items() if n > 1]
    if twice:
        return f"must hold each character once, has {', '.join(map(repr, twice))} more often"
    odd = [c for c in characters if c != " " and (c.isspace() or not _is_scalar(c))]
    if odd:
        return f"may hold no white space but the blank (texts have no other), has {', '.join(map(repr, odd))}"
    return None


def _is_scalar(character: str) -> bool:
    return not 0xD800 <= ord(character) <= 0xDFFF


@section
class Chars(Tokenizer):
    """One token per character of a declared alphabet; a text with any other character is named and left out."""

    alphabet: str = attrs.field(default=ENGLISH, validator=v.checked_by(_no_alphabet))
    """Every character (code point) that a text may hold, the blank between words included; a combining mark is one."""

    @property
    def size(self) -> int:
        return len(self.alphabet) + 2

    def build(self, folder: Path | None = None) -> CharacterTokenizer:
        return CharacterTokenizer(self.alphabet)
