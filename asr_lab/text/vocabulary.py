"""What every tokenizer can do, and what it says of a text it cannot spell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

BLANK_ID = 0
"""The CTC blank, and padding."""
END_ID = 1
"""The end of text; an attention decoder starts from it too."""


class UnspellableError(ValueError):
    """A text holds a character that the tokenizer has no token for."""


class Vocabulary(Protocol):
    """A tokenizer at work."""

    @property
    def vocab_size(self) -> int:
        """Tokens, V, the blank (0) and the end of text (1) included."""

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text, without blank or end of text; UnspellableError names the character."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text; blank and end-of-text tokens are left out."""

    def fingerprint(self) -> str:
        """A hash of everything that decides what `encode` gives, hexadecimal."""
