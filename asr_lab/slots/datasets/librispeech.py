"""LibriSpeech as it is unpacked from openslr.org/12."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source

SPLITS = ("dev-clean", "dev-other", "test-clean", "test-other", "train-clean-100", "train-clean-360", "train-other-500")


def _unknown(splits: tuple[str, ...]) -> str | None:
    unknown = [s for s in splits if s.replace(".", "-") not in SPLITS]
    return f"must hold names from {', '.join(SPLITS)}, got {unknown[0]!r}" if unknown else None


@section
class LibriSpeech(Dataset):
    """Read English, 960 hours (Panayotov et al., ICASSP 2015); columns speaker, chapter, split."""

    splits: tuple[str, ...] = attrs.field(validator=v.all_of(v.min_len(1), v.checked_by(_unknown)))
    """Parts to read, as their folders are called; `test.clean` is `test-clean`."""
    path: str = "LibriSpeech"
    """The folder that holds the parts; a relative one is under ASRLAB_DATA."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return tuple(root / self.path / split.replace(".", "-") for split in self.splits)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.librispeech import read_parts

        names = [folder.name for folder in self.places(root)]
        return read_parts("librispeech", root / self.path, names, root)
