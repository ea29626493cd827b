"""Normalising steps for transcripts, by name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Literal, get_args

VERSION = "1"
"""Raised whenever a step gives another text than before; scores carry it."""

Step = Literal["nfc", "nfkc", "lower", "upper", "strip_punctuation", "strip_accents", "strip_digits", "spaces"]


def _strip_punctuation(text: str) -> str:
    # An apostrophe or hyphen inside a word is a letter of it; elsewhere both are punctuation.
    text = re.sub(r"(?<=\w)[’ʼ](?=\w)", "'", text)
    kept = []
    for i, c in enumerate(text):
        inside = 0 < i < len(text) - 1 and text[i - 1].isalnum() and text[i + 1].isalnum()
        if c == "'" and inside:
            kept.append(c)
        elif unicodedata.category(c)[0] in "PS":
            kept.append(" ")
        else:
            kept.append(c)
    return "".join(kept)


def _strip_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(c for c in parts if unicodedata.category(c) != "Mn"))


_STEPS: dict[str, Callable[[str], str]] = {
    "nfc": lambda t: unicodedata.normalize("NFC", t),
    "nfkc": lambda t: unicodedata.normalize("NFKC", t),
    "lower": str.lower,
    "upper": str.upper,
    "strip_punctuation": _strip_punctuation,
    "strip_accents": _strip_accents,
    "strip_digits": lambda t: re.sub(r"\d", " ", t),
    "spaces": str,
}
assert set(_STEPS) == set(get_args(Step))


class Normalizer:
    """Steps applied in order; runs of white space become one blank at the end."""

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
