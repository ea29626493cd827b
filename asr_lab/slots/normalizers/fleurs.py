"""A normaliser for all languages, each by its own rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.normalizers import Normalizer

if TYPE_CHECKING:
    from asr_lab.text.normalizer import TextNormalizer


@section
class FleursText(Normalizer):
    """Any language, by the column `language`: its letter case, no punctuation, no spaces where its script sets none."""

    def build(self, root: Path) -> TextNormalizer:
        from asr_lab.data.fleurs_languages import LANGUAGES
        from asr_lab.text.fleurs import FleursNormalizer

        names = [(one.code, one.iso639, one.iso639_3) for one in LANGUAGES if not one.is_spaced]
        return FleursNormalizer({"zh", *(name for every in names for name in every)})
