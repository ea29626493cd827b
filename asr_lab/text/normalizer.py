"""Normalising steps for transcripts, by name. They hold for any language; each says what it loses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal, get_args

VERSION = "1"
"""Raised whenever a step gives another text than before; scores carry it."""

Step = Literal["nfc", "nfkc", "lower", "upper", "strip_punctuation", "strip_accents", "strip_digits"]

APOSTROPHES = "'’‘ʼ＇`´"
"""What is typed for an apostrophe."""
# The Unicode blocks Combining Diacritical Marks, its Extended and its Supplement, and Combining Marks for Symbols.
_ACCENTS = ((0x0300, 0x036F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF))
_NOT_PLAIN = re.compile(r"[^\w ]|[_ʼ]")
_JOINERS = "\u200c\u200d"  # zero width non-joiner, zero width joiner


def nfc(text: str) -> str:
    """Letters and their marks composed: one spelling of each character (Unicode Annex 15)."""
    return unicodedata.normalize("NFC", text)


def nfkc(text: str) -> str:
    """As `nfc`, and variants made plain: full-width letters, ligatures, superscripts, `½` to `1⁄2`."""
    return unicodedata.normalize("NFKC", text)


def strip_punctuation(text: str) -> str:
    """Punctuation and symbols to blanks, hyphens included: `Well-known, isn't it?` to `Well known isn't it`.

    Kept are an apostrophe between letters (written `'`: `l'homme`, `o'neil`, but `dogs` of `dogs'`), and a dot or comma
    between digits (`3.5`, `1,000`). Signs and units go: `-5 %` to `5`. Invisible characters go without a blank, but for
    the joiners inside a word, which Persian and the Indic scripts spell with.
    """
    return _NOT_PLAIN.sub(_without_punctuation, text)


def _without_punctuation(match: re.Match[str]) -> str:
    text, i, c = match.string, match.start(), match[0]
    if c in APOSTROPHES:
        return "'" if _in_word(text, i) else " "
    if c in ".," and text[i - 1 : i].isdecimal() and text[i + 1 : i + 2].isdecimal():
        return c
    category = unicodedata.category(c)
    if category == "Cf":
        return c if c in _JOINERS and _in_word(text, i) else ""
    return " " if category[0] in "PSCZ" else c


def _in_word(text: str, i: int) -> bool:
    before, after = text[i - 1 : i], text[i + 1 : i + 2]
    return all(c and unicodedata.category(c)[0] in "LMN" for c in (before, after))


def strip_accents(text: str) -> str:
    """Accents off Latin, Greek and Cyrillic letters: `café` to `cafe`, `ü` to `u`, but also `й` to `и`, `ё` to `е`.

    Letters of their own (`ø`, `ł`, `ß`) stay, and so do the vowel signs of other scripts, which are no accents.
    """
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(c for c in parts if not _is_accent(c)))


def _is_accent(c: str) -> bool:
    return any(first <= ord(c) <= last for first, last in _ACCENTS)


def strip_digits(text: str) -> str:
    """Digits of any script to blanks; for texts in which a digit is an error, since none is spoken so."""
    return "".join(" " if c.isdecimal() else c for c in text)


_STEPS: dict[str, Callable[[str], str]] = {
    "nfc": nfc,
    "nfkc": nfkc,
    "lower": str.lower,
    "upper": str.upper,
    "strip_punctuation": strip_punctuation,
    "strip_accents": strip_accents,
    "strip_digits": strip_digits,
}
assert set(_STEPS) == set(get_args(Step))


class Normalizer:
    """Steps applied in order; runs of white space become one blank at the end, whatever the steps."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)

    def __call__(self, text: str) -> str:
        for step in self.steps:
            text = _STEPS[step](text)
        return " ".join(text.split())

    @property
    def name(self) -> str:
        """What a score says of it: `nfc+lower+strip_punctuation/1`."""
        return f"{'+'.join(self.steps) or 'none'}/{VERSION}"
