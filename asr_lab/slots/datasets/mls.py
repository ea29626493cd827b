"""Multilingual LibriSpeech, as it is unpacked from openslr.org/94."""

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
class MLS(Dataset):
    """Books read in eight languages, 50,000 hours (Pratap et al., Interspeech 2020).

    Columns speaker, book, language, locale, split, gender.
    """

    languages: tuple[
        Literal["dutch", "english", "french", "german", "italian", "polish", "portuguese", "spanish"], ...
    ] = attrs.field(validator=v.min_len(1))
    """As the corpus calls them."""
    splits: tuple[Literal["train", "dev", "test", "train-10min", "train-1h", "train-9h", "train-10h"], ...] = (
        attrs.field(validator=v.min_len(1))
    )
    """Parts to read; `train-10h` and so on are the published parts for training with few labels."""
    path: str = "."
    """The folder that holds `mls_german`, `mls_german_opus` and so on; a relative one is under ASRLAB_DATA."""
    audio: Literal["any", "flac", "opus"] = "any"
    """Which of the two forms; any = FLAC where it is there."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.mls import mls_folder, mls_rows
        from asr_lab.data.sources.rows import absent, fetch, source_of
        from asr_lab.data.sources.trees import chained

        base = real_path(root / self.path)
        opus = None if self.audio == "any" else self.audio == "opus"
        folders = {language: mls_folder(base, language, opus) for language in self.languages}
        if lacking := [language for language, folder in folders.items() if folder is None]:
            ending = "_opus" if opus else ""
            looked = [base / f"mls_{language}{ending}" for language in lacking]
            raise absent("MLS", looked, root, fetch("mls", [f"{language}{ending}" for language in lacking]))
        return chained(
            [
                source_of(mls_rows(folder, language, split))
                for language, folder in folders.items()
                for split in self.splits
                if folder is not None
            ]
        )
