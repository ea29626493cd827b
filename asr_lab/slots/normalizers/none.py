"""Texts as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.normalizers import Normalizer

if TYPE_CHECKING:
    from asr_lab.text.normalizer import TextNormalizer


@section
class Unchanged(Normalizer):
    """Texts as written, but for runs of white space: case and punctuation count."""

    def build(self, root: Path) -> TextNormalizer:
        from asr_lab.text.normalizer import Normalizer as Steps

        return Steps(())
