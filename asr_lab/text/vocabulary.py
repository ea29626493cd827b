"""What every tokenizer can do, and what it says of a text it cannot spell."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple, Protocol

BLANK_ID = 0
"""The CTC blank, and padding."""
END_ID = 1
"""The end of text; an attention decoder starts from it too."""


class UnspellableError(ValueError):
    """A text holds characters that the tokenizer has no token for; `characters` are all of them, each once."""

    def __init__(self, characters: str, text: str) -> None:
        self.characters = characters
        first = characters[0]
        name = unicodedata.name(first, "a character without a name")
        super().__init__(f"no token for {first!r} (U+{ord(first):04X}, {name}) in {text!r}")


class Word(NamedTuple):
    """A word, and the tokens that spell it."""

    text: str
    first: int
    """Where in the sequence its first token stands."""
    last: int
    """Where its last token stands."""


class Vocabulary(Protocol):
    """A tokenizer at work. For every text that it can spell, white space reduced, `decode(encode(text)) == text`."""

    @property
    def vocab_size(self) -> int:
        """Tokens, V, the blank (0) and the end of text (1) included."""

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text, without blank or end of text; UnspellableError names each character."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text; blank and end-of-text tokens are left out. Any sequence decodes, however little sense it makes."""

    def words(self, tokens: Sequence[int]) -> list[Word]:
        """How the tokens make up the words of `decode`; a token between words belongs to none of them."""

    def fingerprint(self) -> str:
        """A hash of everything that decides what `encode` gives, hexadecimal."""
