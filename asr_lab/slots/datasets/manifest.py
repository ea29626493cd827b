"""A lhotse manifest of cuts."""

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

ENDINGS = (".jsonl", ".jsonl.gz")


@section
class Manifest(Dataset):
    """Cuts in lhotse's JSON lines: one channel or more of one recording, with one supervision each.

    Columns: speaker, language, gender and what `custom` holds, as far as the manifest gives them.
    """

    path: str = attrs.field(validator=v.min_len(1))
    """The manifest, `.jsonl` or `.jsonl.gz`; a relative one is under ASRLAB_DATA."""
    audio_root: str = ""
    """Where relative audio paths start; itself under ASRLAB_DATA if relative."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path, root / self.audio_root)

    def read(self, root: Path) -> Source:
        """The cuts. A source that is no file (command, pipe, URL, memory) is refused for the whole manifest."""
        from asr_lab.data.sources.json_lines import refuse_nemo
        from asr_lab.data.sources.lhotse import read_cuts_manifest

        manifest = real_path(root / self.path)
        if not manifest.name.endswith(ENDINGS):
            if manifest.is_file():
                refuse_nemo(manifest)
            endings = " or ".join(ENDINGS)
            raise DataError(f"{manifest}: a lhotse manifest of cuts ends in {endings}; lhotse copy writes one")
        if not manifest.is_file():
            raise DataError(f"no manifest {manifest}; relative paths are under ASRLAB_DATA (now {real_path(root)})")
        return read_cuts_manifest(manifest, real_path(root / self.audio_root))
