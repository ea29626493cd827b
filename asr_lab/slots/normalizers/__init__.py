"""Slot `score.normalizer`: what is done to references and hypotheses before they are compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.config.section import Slot

if TYPE_CHECKING:
    from asr_lab.text.normalizer import TextNormalizer


class Normalizer(Slot):
    """A named way to make texts comparable; a list of steps stands in its place too."""

    def build(self, root: Path) -> TextNormalizer:
        """The normaliser; `root` is where data lie. LabError where what it needs is not there."""
        raise NotImplementedError
