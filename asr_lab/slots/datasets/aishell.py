"""AISHELL-1, as it is unpacked from openslr.org/33."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.files import real_path
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


@section
class Aishell(Dataset):
    """Read Mandarin, 178 hours (Bu et al., O-COCOSDA 2017); columns speaker, language, split, gender."""

    splits: tuple[Literal["train", "dev", "test"], ...] = attrs.field(validator=v.min_len(1))
    """Parts to read."""
    path: str = "data_aishell"
    """The folder that holds `wav/` and `transcript/`; a relative one is under ASRLAB_DATA. Speakers' archives in
    `wav/` are read where they have not been unpacked."""
    spaced: bool = False
    """Whether the published spaces between words stay; scores are of characters."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.aishell import aishell_rows, genders_of
        from asr_lab.data.sources.rows import absent, fetch, source_of
        from asr_lab.data.sources.trees import chained

        base = real_path(root / self.path)
        packed = any((base / "wav").glob("*.tar.gz"))
        if lacking := [base / "wav" / s for s in self.splits if not packed and not (base / "wav" / s).is_dir()]:
            raise absent("AISHELL-1", lacking, root, fetch("aishell"))
        genders = genders_of(base.parent / "resource_aishell" / "speaker.info")
        return chained([source_of(aishell_rows(base, split, self.spaced, genders)) for split in self.splits])
