"""Whisper's normaliser for English."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.normalizers import Normalizer

if TYPE_CHECKING:
    from asr_lab.text.normalizer import TextNormalizer


@section
class EnglishText(Normalizer):
    """Whisper's for English: digits for numbers, full forms, American spelling, no fillers (extra `scoring`)."""

    def build(self, root: Path) -> TextNormalizer:
        from asr_lab.text.english import whisper_english

        return whisper_english(root / "normalizers")
