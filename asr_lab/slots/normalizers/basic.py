"""Whisper's normaliser for any language."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.normalizers import Normalizer

if TYPE_CHECKING:
    from asr_lab.text.normalizer import TextNormalizer


@section
class BasicText(Normalizer):
    """Whisper's for any language: lower case; brackets, symbols, punctuation and marks go, vowel signs among them."""

    strip_accents: bool = False
    """Letters without their accents (Whisper's `remove_diacritics`)."""

    def build(self, root: Path) -> TextNormalizer:
        from asr_lab.text.basic import BasicNormalizer

        return BasicNormalizer(self.strip_accents)
