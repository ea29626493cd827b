"""A Kaldi data directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.files import real_path
from asr_lab.slots.datasets import Dataset, folder_of

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


@section
class Kaldi(Dataset):
    """`wav.scp` and `text`, with `segments`, `utt2spk`, `spk2gender`, `utt2lang` where they are there.

    Columns speaker, gender, language. A command in `wav.scp` is never run: one that only converts a file (flac,
    sph2pipe, sox, ffmpeg, cat) is read as that file, any other makes a bad row.
    """

    path: str = attrs.field(validator=v.min_len(1))
    """The directory; a relative one is under ASRLAB_DATA."""
    audio_root: str = ""
    """Where relative audio paths start; itself under ASRLAB_DATA if relative, empty = the directory."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.kaldi import FILES, kaldi_rows
        from asr_lab.data.sources.rows import source_of

        folder = folder_of(root, self.path)
        audio_root = real_path(root / self.audio_root) if self.audio_root else folder
        return source_of(kaldi_rows(folder, audio_root), [folder / name for name in FILES])
