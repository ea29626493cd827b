"""Mini LibriSpeech, as it is unpacked from openslr.org/31."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


@section
class MiniLibriSpeech(Dataset):
    """Five hours of LibriSpeech to train on and two to validate with; columns speaker, chapter, split, language.

    There is no test part: score LibriSpeech's.
    """

    splits: tuple[Literal["train-clean-5", "dev-clean-2"], ...] = attrs.field(validator=v.min_len(1))
    """Parts to read."""
    path: str = "LibriSpeech"
    """The folder that holds the parts; a relative one is under ASRLAB_DATA."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return tuple(root / self.path / split for split in self.splits)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.librispeech import read_parts

        return read_parts("mini_librispeech", root / self.path, self.splits, root)
