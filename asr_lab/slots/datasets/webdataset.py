"""WebDataset's tar archives of samples."""

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
class WebDataset(Dataset):
    """Tar archives in which files of one name follow one another: a recording, and its text as `txt` or in `json`.

    Columns: what else `json` holds. Archives are read as they are.
    """

    path: str = attrs.field(validator=v.min_len(1))
    """An archive, several by braces (`train-{000000..000127}.tar`), or the folder of some; a relative one is under
    ASRLAB_DATA."""
    text_field: str = "text"
    """Which value of `json` is the transcript; where there is none, `txt` is."""

    def places(self, root: Path) -> tuple[Path, ...]:
        from asr_lab.data.sources.braces import expanded

        return tuple(root / path for path in expanded(self.path))

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.braces import expanded
        from asr_lab.data.sources.rows import source_of
        from asr_lab.data.sources.webdataset import webdataset_rows

        tars = [real_path(root / path) for path in expanded(self.path)]
        if len(tars) == 1 and tars[0].is_dir():
            folder = tars[0]
            tars = sorted(path for path in folder.iterdir() if path.name.endswith((".tar", ".tar.gz", ".tgz")))
            if not tars:
                raise DataError(f"{folder} holds no .tar archives")
        if lacking := [path for path in tars if not path.is_file()]:
            where = f"relative paths are under ASRLAB_DATA (now {real_path(root)})"
            raise DataError(f"{len(lacking)} of {len(tars)} archives absent, as {lacking[0]}; {where}")
        return source_of(webdataset_rows(tars, self.text_field), tars)
