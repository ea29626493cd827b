"""One token per character of an alphabet, which is declared or taken from text."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from asr_lab.errors import DataError
from asr_lab.files import write_bytes
from asr_lab.text.vocabulary import BLANK_ID, END_ID, UnspellableError, Word

ENGLISH = "abcdefghijklmnopqrstuvwxyz' "
"""Letters, apostrophe and blank: what `lower` and `strip_punctuation` leave of an English text without digits."""
FILE = "alphabet.txt"
"""The alphabet's name in a run's tokenizer folder: its characters in order, as UTF-8 and nothing else."""


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
        """One token per character; UnspellableError names those that are not in the alphabet."""
        try:
            return [self._tokens[c] for c in text]
        except KeyError:
            raise UnspellableError("".join(c for c in dict.fromkeys(text) if c not in self._tokens), text) from None

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


def take_alphabet(texts: Iterable[str], folder: Path) -> None:
    """Write the characters of texts, the blank among them whatever the texts, into `folder`, by code point.

    Halves of surrogate pairs are no characters and are left out. DataError where there is no text.
    """
    found: set[str] = set()
    for text in texts:
        found.update(text)
    if not found:
        raise DataError("no training text to take an alphabet from")
    alphabet = "".join(sorted(c for c in found | {" "} if _is_scalar(c)))
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / FILE, alphabet.encode())


def read_alphabet(folder: Path) -> str:
    """The alphabet in a run's tokenizer folder; DataError where it is absent or damaged."""
    path = folder / FILE
    try:
        alphabet = path.read_bytes().decode()
    except FileNotFoundError:
        raise DataError(f'{path}: no such file; with alphabet = "auto", `asrlab run` takes it from the text') from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as an alphabet: {error}") from error
    if reason := no_alphabet(alphabet):
        raise DataError(f"{path} is damaged: an alphabet {reason}")
    return alphabet


def no_alphabet(characters: str) -> str | None:
    """Why some characters make no alphabet; None where they do."""
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
