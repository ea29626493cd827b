"""NeMo's manifests, over files or over tar archives."""

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

TARRED = "tarred_audio_manifest.json"


@section
class Nemo(Dataset):
    """JSON lines with `audio_filepath`, `duration` and `text`; columns language, speaker and whatever else they hold.

    Archives are read as they are.
    """

    path: str = attrs.field(validator=v.min_len(1))
    """A manifest, several by braces (`manifest_{0..127}.json`, or `_OP_` and `_CL_` for the braces), or the folder of a
    tarred set; a relative one is under ASRLAB_DATA."""
    tars: str = ""
    """The archives of a tarred set, `audio_{0..127}.tar`; under ASRLAB_DATA if relative, empty = those of the folder,
    or none."""
    audio_root: str = ""
    """Where relative audio paths start; itself under ASRLAB_DATA if relative, empty = each manifest's folder."""

    def places(self, root: Path) -> tuple[Path, ...]:
        from asr_lab.data.sources.braces import expanded

        return tuple(root / path for pattern in (self.path, self.tars) if pattern for path in expanded(pattern))

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.braces import expanded
        from asr_lab.data.sources.nemo import nemo_rows
        from asr_lab.data.sources.rows import source_of

        folder = real_path(root / self.path)
        if folder.is_dir():
            manifests = [folder / TARRED]
            tars = [] if self.tars else sorted(folder.glob("audio_*.tar"))
            if not self.tars and not tars:
                raise DataError(f"{folder} holds no audio_0.tar and so on; name a manifest, or the archives as `tars`")
        else:
            manifests, tars = [real_path(root / path) for path in expanded(self.path)], []
        tars += [real_path(root / path) for path in expanded(self.tars)] if self.tars else []
        if lacking := [path for path in (*manifests, *tars) if not path.is_file()]:
            where = f"relative paths are under ASRLAB_DATA (now {real_path(root)})"
            raise DataError(f"{len(lacking)} of {len(manifests) + len(tars)} files absent, as {lacking[0]}; {where}")
        audio_root = real_path(root / self.audio_root) if self.audio_root else None
        return source_of(nemo_rows(manifests, tars, audio_root), [*manifests, *tars])
