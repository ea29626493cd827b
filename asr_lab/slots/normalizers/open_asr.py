"""The Open ASR Leaderboard's normaliser for English."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.normalizers import Normalizer

if TYPE_CHECKING:
    from asr_lab.text.normalizer import TextNormalizer


@section
class OpenASRText(Normalizer):
    """The Open ASR Leaderboard's for English, commit d1e99b2; its regime has `scorer = "merge_compounds"` beside it."""

    def build(self, root: Path) -> TextNormalizer:
        from asr_lab.text.open_asr import open_asr_normalizer

        return open_asr_normalizer(root / "normalizers")
