"""Lhotse Shar: cuts and their audio in shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.datasets import Dataset, folder_of

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


@section
class Shar(Dataset):
    """Shards of cuts beside tar archives of their recordings, which are read as they are.

    Columns as in a lhotse manifest, and what fields of JSON lines hold.
    """

    path: str = attrs.field(validator=v.min_len(1))
    """The folder of `cuts.000000.jsonl.gz`, `recording.000000.tar` and so on; a relative one is under ASRLAB_DATA."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.rows import source_of
        from asr_lab.data.sources.shar import files_of, shar_rows, shards_of

        shards = shards_of(folder_of(root, self.path))
        return source_of(shar_rows(shards), files_of(shards))
