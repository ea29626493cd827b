"""Normalising steps for transcripts, by name. They hold for any language; each says what it loses."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from asr_lab.text.letter_case import lower_greek, lower_lithuanian, lower_turkic, upper_turkic
from asr_lab.text.word_marks import APOSTROPHE_LETTERS, JOINERS, follows_letter, in_word, inner_mark, is_tone

VERSION = "2"
"""Raised whenever a step gives another text than before; scores carry it."""

Step = Literal[
    "nfc",
    "nfkc",
    "lower",
    "lower:tr",
    "lower:az",
    "lower:lt",
    "lower:el",
    "upper",
    "upper:tr",
    "upper:az",
    "strip_punctuation",
    "strip_accents",
    "strip_digits",
]

# The Unicode blocks Combining Diacritical Marks, its Extended and its Supplement, and Combining Marks for Symbols.
_ACCENTS = ((0x0300, 0x036F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF))
_NOT_PLAIN = re.compile(rf"[^\w ]|[_{APOSTROPHE_LETTERS}]")
# Marks that spell nothing: selectors of glyphs, the grapheme joiner, circles and keys around a character.
_UNSPELLING = re.compile("[\u034f\u180b-\u180d\u180f\u20dd-\u20e4\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def nfc(text: str) -> str:
    """Letters and their marks composed: one spelling of each character (Unicode Annex 15)."""
    return unicodedata.normalize("NFC", text)


def nfkc(text: str) -> str:
    """As `nfc`, and variants made plain: full-width letters, ligatures, superscripts, `½` to `1⁄2`."""
    return unicodedata.normalize("NFKC", text)


def strip_punctuation(text: str) -> str:
    """Punctuation and symbols to blanks, hyphens included: `Well-known, isn't it?` to `Well known isn't it`.

    Kept is what stands inside a word or number of some script (`word_marks`, after UAX 29), spelled one way: an
    apostrophe between letters (written `'`: `l'homme`, `o'neil`, but `dogs` of `dogs'`), Catalan's `col·lecció`,
    Hebrew's `צה״ל` and `ג׳ורג׳`, the colon of `EU:s`, a decimal or thousands separator between digits (`3.5`, `1,000`,
    `٣٫٥`). A full stop between letters ends a word, unlike there. Signs and units go: `-5 %` to `5`. Invisible
    characters go without a blank, but for the joiners inside a word, which Persian and the Indic scripts spell with;
    marks stay on their letters and go with what is none.
    """
    return _NOT_PLAIN.sub(_without_punctuation, text)


def _without_punctuation(match: re.Match[str]) -> str:
    text, i, c = match.string, match.start(), match[0]
    category = unicodedata.category(c)
    if category[0] == "M":
        return c if follows_letter(text, i) and not _UNSPELLING.match(c) else ""
    if category == "Cf":
        return c if c in JOINERS and in_word(text, i) and text[i - 1] not in JOINERS else ""
    if (mark := inner_mark(text, i)) is not None:
        return mark
    if is_tone(c):
        return c if follows_letter(text, i) else " "
    return " " if category[0] in "PSCZ" else c


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
    "lower:tr": lower_turkic,
    "lower:az": lower_turkic,
    "lower:lt": lower_lithuanian,
    "lower:el": lower_greek,
    "upper": str.upper,
    "upper:tr": upper_turkic,
    "upper:az": upper_turkic,
    "strip_punctuation": strip_punctuation,
    "strip_accents": strip_accents,
    "strip_digits": strip_digits,
}
assert set(_STEPS) == set(get_args(Step))


def kind_of(step: Step) -> str:
    """The step without its language: `lower` of `lower:tr`."""
    return step.partition(":")[0]


class TextNormalizer(ABC):
    """What makes texts comparable before they are scored; a score names it and holds its hash."""

    @property
    @abstractmethod
    def id(self) -> str:
        """What it is called without its version."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Raised whenever it gives another text than before."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What else decides its texts, as JSON: options, hashes of tables."""
        return {}

    @property
    def name(self) -> str:
        """What a score says of it: `english/1`, `nfc+lower+strip_punctuation/2`."""
        return f"{self.id}/{self.version}"

    @property
    def hash(self) -> str:
        """SHA-256, hexadecimal, of the name and all settings."""
        content = json.dumps([self.id, self.version, dict(self.settings)], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    @abstractmethod
    def __call__(self, text: str, language: str = "") -> str:
        """The text made plain, words parted by one blank; `language` is the manifest's name of it, or ""."""


class Normalizer(TextNormalizer):
    """Steps applied in order; runs of white space become one blank at the end, whatever the steps."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)

    def __call__(self, text: str, language: str = "") -> str:
        for step in self.steps:
            text = _STEPS[step](text)
        return " ".join(text.split())

    @property
    def id(self) -> str:
        return "+".join(self.steps) or "none"

    @property
    def version(self) -> str:
        return VERSION
