"""One token per byte of UTF-8."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from asr_lab.text.vocabulary import BLANK_ID, END_ID, UnspellableError, Word

FIRST_ID = max(BLANK_ID, END_ID) + 1
"""The token of byte 0."""


class ByteTokenizer:
    """Bytes of UTF-8 to tokens, from 2 on."""

    @property
    def vocab_size(self) -> int:
        """Bytes, and two."""
        return 256 + FIRST_ID

    def encode(self, text: str) -> list[int]:
        """One token per byte; UnspellableError for a surrogate, which UTF-8 does not have."""
        try:
            return [b + FIRST_ID for b in text.encode()]
        except UnicodeEncodeError:
            raise UnspellableError(
                "".join(c for c in dict.fromkeys(text) if 0xD800 <= ord(c) <= 0xDFFF), text
            ) from None

    def decode(self, tokens: Sequence[int]) -> str:
        """The text; bytes that are no UTF-8, a character that is not complete yet included, give U+FFFD."""
        return bytes(t - FIRST_ID for t in tokens if FIRST_ID <= t < self.vocab_size).decode(errors="replace")

    def words(self, tokens: Sequence[int]) -> list[Word]:
        """What stands between blanks; without a blank, the whole text is one word."""
        spans: list[tuple[int, int]] = []
        open_ = False
        for i, token in enumerate(tokens):
            if token == FIRST_ID + ord(" "):
                open_ = False
            elif FIRST_ID <= token < self.vocab_size:
                spans = [*spans[:-1], (spans[-1][0], i)] if open_ else [*spans, (i, i)]
                open_ = True
        return [Word(self.decode(tokens[first : last + 1]), first, last) for first, last in spans]

    def fingerprint(self) -> str:
        """The hash of a name: there is nothing to choose."""
        return hashlib.sha256(b"bytes").hexdigest()
