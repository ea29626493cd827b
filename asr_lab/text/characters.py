"""One token per character of an alphabet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from asr_lab.text.vocabulary import BLANK_ID, END_ID, UnspellableError, Word

ENGLISH = "abcdefghijklmnopqrstuvwxyz' "
"""Letters, apostrophe and blank: what `lower` and `strip_punctuation` leave of an English text without digits."""


class CharacterTokenizer:
    """Characters (Unicode code points) to tokens, from 2 on in the alphabet's order."""

    def __init__(self, alphabet: str = ENGLISH) -> None:
        self.alphabet = alphabet
        first = max(BLANK_ID, END_ID) + 1
        self._tokens = {c: i for i, c in enumerate(alphabet, start=first)}
        self._characters = {i: c for c, i in self._tokens.items()}

    @property
    def vocab_size(self) -> int:
        """Characters, and two."""
        return len(self.alphabet) + 2

    def encode(self, text: str) -> list[int]:
        """One token per character; UnspellableError names the first that is not in the alphabet."""
        try:
            return [self._tokens[c] for c in text]
        except KeyError as error:
            raise UnspellableError(error.args[0], text) from None

    def decode(self, tokens: Sequence[int]) -> str:
        """The characters; a token that is none is left out."""
        return "".join(self._characters.get(t, "") for t in tokens)

    def words(self, tokens: Sequence[int]) -> list[Word]:
        """What stands between blanks; without a blank, the whole text is one word."""
        words: list[Word] = []
        open_ = False
        for i, token in enumerate(tokens):
            character = self._characters.get(token)
            if character is None:
                continue
            if character == " ":
                open_ = False
            elif open_:
                words[-1] = Word(words[-1].text + character, words[-1].first, i)
            else:
                words.append(Word(character, i, i))
                open_ = True
        return words

    def fingerprint(self) -> str:
        """The hash of the alphabet."""
        return hashlib.sha256(f"chars\0{self.alphabet}".encode()).hexdigest()
