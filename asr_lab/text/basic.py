"""Whisper's normaliser for languages other than English (Radford et al., 2022, appendix C)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from asr_lab.text.english import without_brackets, without_symbols_and_accents
from asr_lab.text.normalizer import TextNormalizer


class BasicNormalizer(TextNormalizer):
    """Lower case without brackets and what is in them; marks, symbols and punctuation become blanks (NFKC).

    Vowel signs of the Indic and other scripts are marks, and part their words: scores of those languages under it
    compare with others under it alone.
    """

    def __init__(self, strip_accents: bool = False) -> None:
        self._strip_accents = strip_accents

    @property
    def id(self) -> str:
        return "basic"

    @property
    def version(self) -> str:
        return "1"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"strip_accents": self._strip_accents}

    @property
    def name(self) -> str:
        return f"basic{'+strip_accents' * self._strip_accents}/{self.version}"

    def __call__(self, text: str, language: str = "") -> str:
        text = without_brackets(text.lower())
        text = without_symbols_and_accents(text) if self._strip_accents else _without_symbols(text)
        return " ".join(text.lower().split())


def _without_symbols(text: str) -> str:
    return "".join(" " if unicodedata.category(c)[0] in "MSP" else c for c in unicodedata.normalize("NFKC", text))
