"""A folder of recordings with one table of transcripts, or a tree like LibriSpeech's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.errors import DataError
from asr_lab.slots.datasets import Dataset, folder_of

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


@section
class Folder(Dataset):
    """Audio files and their transcripts below one folder.

    Where the table is absent, `*.trans.txt` files of a LibriSpeech-style tree are read.
    """

    path: str = attrs.field(validator=v.min_len(1))
    """The folder; a relative one is under ASRLAB_DATA."""
    transcripts: str = "manifest.tsv"
    """Table with a header row, in the folder; tab-separated if it ends in `.tsv`, else csv."""
    audio_column: str = "audio"
    """Column of the audio file's path, relative to the folder."""
    text_column: str = "text"
    """Column of the transcript."""
    id_column: str | None = None
    """Column of the utterance's name; default: `id` if there is one, else the audio path without its ending, with the
    start and the channel where the table gives them."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.tables import read_table
        from asr_lab.data.sources.trees import has_tree, read_tree

        folder = folder_of(root, self.path)
        table = folder / self.transcripts
        if table.is_file():
            return read_table(table, folder, self.audio_column, self.text_column, self.id_column)
        if has_tree(folder):
            return read_tree(folder, {})
        raise DataError(f"no transcripts in {folder}: neither {self.transcripts} nor *.trans.txt files")
