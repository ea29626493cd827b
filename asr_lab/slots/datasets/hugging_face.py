"""Hugging Face's datasets, as parquet files or saved to disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.errors import DataError
from asr_lab.files import real_path
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


@section
class HuggingFace(Dataset):
    """Parquet files, or what `save_to_disk` wrote, with recordings inside; pyarrow reads them.

    Columns: whatever else is a text or a number. Arrow files are read in their place, parquet files by row groups.
    """

    path: str = attrs.field(validator=v.min_len(1))
    """The folder of the dataset, or one file; a relative one is under ASRLAB_DATA."""
    split: str = ""
    """Part to read: its folder, or what its files' names begin with; empty where there is only one."""
    audio_column: str = ""
    """Column of the recordings; empty = the only one."""
    text_column: str = ""
    """Column of the transcripts; empty = the only one of a usual name (text, sentence, transcription, …)."""
    id_column: str = ""
    """Column of the utterance's name; empty = `id` if there is one, else file and row."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.hugging_face import HubColumns, hugging_face_rows, split_files
        from asr_lab.data.sources.rows import source_of

        place = real_path(root / self.path)
        if not place.exists():
            raise DataError(f"nothing is at {place}; relative paths are under ASRLAB_DATA (now {real_path(root)})")
        if "/" in self.split or self.split == "..":
            raise DataError(f"split is a name, not a path: {self.split!r}")
        columns = HubColumns(self.audio_column, self.text_column, self.id_column)
        files = split_files(place, self.split)
        return source_of(hugging_face_rows(files, columns), files)
