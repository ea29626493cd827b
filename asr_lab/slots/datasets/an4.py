"""AN4, as it is unpacked from CMU's archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.errors import DataError
from asr_lab.files import real_path
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


@section
class AN4(Dataset):
    """Letters and numbers in American English, 50 minutes (CMU, 1991); columns speaker, language, split."""

    splits: tuple[Literal["train", "test"], ...] = attrs.field(validator=v.min_len(1))
    """Parts to read."""
    path: str = "an4"
    """The folder that holds `etc/` and `wav/`; a relative one is under ASRLAB_DATA."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.an4 import an4_rows
        from asr_lab.data.sources.rows import absent, fetch, source_of
        from asr_lab.data.sources.trees import chained

        base = real_path(root / self.path)
        if not (base / "etc").is_dir():
            raise absent("AN4", [base / "etc"], root, fetch("an4"))
        if next(base.glob("wav/*/*/*.raw"), None):
            raise DataError(f"{base} is AN4 without headers (an4_raw); take an4_sphere.tar.gz")
        return chained([source_of(an4_rows(base, split)) for split in self.splits])
