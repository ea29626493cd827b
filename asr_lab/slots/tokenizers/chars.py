"""One token per character of a declared alphabet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import attrs

from asr_lab.config.section import section
from asr_lab.slots.tokenizers import Tokenizer
from asr_lab.text.characters import ENGLISH, CharacterTokenizer


def _is_alphabet(section: Any, attribute: attrs.Attribute[str], value: str) -> None:
    if not value:
        raise ValueError("must hold at least one character")
    twice = [c for c, n in Counter(value).items() if n > 1]
    if twice:
        raise ValueError(f"must hold each character once, has {', '.join(map(repr, twice))} more often")
    odd = [c for c in value if c != " " and (c.isspace() or not _is_scalar(c))]
    if odd:
        raise ValueError(
            f"may hold no white space but the blank (texts have no other), has {', '.join(map(repr, odd))}"
        )


def _is_scalar(character: str) -> bool:
    return not 0xD800 <= ord(character) <= 0xDFFF


@section
class Chars(Tokenizer):
    """One token per character of a declared alphabet; a text with any other character is named and left out."""

    alphabet: str = attrs.field(default=ENGLISH, validator=_is_alphabet)
    """Every character (code point) that a text may hold, the blank between words included; a combining mark is one."""

    @property
    def size(self) -> int:
        return len(self.alphabet) + 2

    def build(self, folder: Path | None = None) -> CharacterTokenizer:
        return CharacterTokenizer(self.alphabet)
