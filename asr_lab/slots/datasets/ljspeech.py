"""LJSpeech 1.1, as it is unpacked."""

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
class LJSpeech(Dataset):
    """Books read by one American speaker, 24 hours (Ito and Johnson, 2017); columns speaker, book, language, split.

    The corpus has no splits. Here dev is the book LJ048, test LJ049 and LJ050, train the rest.
    """

    splits: tuple[Literal["all", "train", "dev", "test"], ...] = attrs.field(validator=v.min_len(1))
    """Parts to read."""
    path: str = "LJSpeech-1.1"
    """The folder that holds `metadata.csv` and `wavs/`; a relative one is under ASRLAB_DATA."""
    text: Literal["normalized", "raw"] = "normalized"
    """Numbers and abbreviations in words, or as they were written."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.ljspeech import ljspeech_rows
        from asr_lab.data.sources.rows import absent, fetch, source_of
        from asr_lab.data.sources.trees import chained

        base = real_path(root / self.path)
        if not (base / "metadata.csv").is_file():
            raise absent("LJSpeech", [base / "metadata.csv"], root, fetch("ljspeech"))
        normalized = self.text == "normalized"
        return chained([source_of(ljspeech_rows(base, split, normalized)) for split in self.splits])
