"""FLEURS: the same sentences read in 102 languages, in any layout that it is published in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.hints import did_you_mean
from asr_lab.config.section import section
from asr_lab.data.fleurs_languages import BY_CODE, LANGUAGES
from asr_lab.errors import DataError
from asr_lab.files import real_path
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


def _unknown(languages: str | tuple[str, ...]) -> str | None:
    if not languages:
        return "must not be empty"
    for code in languages if isinstance(languages, tuple) else ():
        if code not in BY_CODE:
            hint = did_you_mean(code, list(BY_CODE)) or "; asrlab data show fleurs lists them"
            return f"must hold codes of FLEURS such as en_us, got {code!r}{hint}"
    return None


@section
class Fleurs(Dataset):
    """Sentences of Wikipedia read in 102 languages (Conneau et al., SLT 2022), as published on the Hub or by Google.

    Columns locale, language, script, family, split, sentence, gender. Archives are read as they are; compressed ones
    and parquet files are unpacked once, in ASRLAB_CACHE.
    """

    languages: Literal["all", "there"] | tuple[str, ...] = attrs.field(default="all", validator=v.checked_by(_unknown))
    """The corpus' codes: `["en_us", "de_de"]`; `"all"` 102, or `"there"`: those whose splits are on the disk."""
    splits: tuple[Literal["train", "dev", "test"], ...] = attrs.field(default=("test",), validator=v.min_len(1))
    """Parts to read."""
    path: str = "fleurs"
    """The folder; a relative one is under ASRLAB_DATA. In it `data/CODE/SPLIT.tsv` and `data/CODE/audio/SPLIT.tar.gz`,
    `parquet-data/CODE/`, `CODE/SPLIT/*.parquet`, or `CODE.tar.gz`."""
    text: Literal["transcription", "raw_transcription"] = "transcription"
    """Lower case without punctuation, which is what is scored, or as it was written."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.fleurs import languages_there, read_fleurs

        base = real_path(root / self.path)
        wanted = list(LANGUAGES) if isinstance(self.languages, str) else [BY_CODE[code] for code in self.languages]
        if self.languages == "there":
            wanted = languages_there(base, wanted, self.splits)
            if not wanted:
                raise DataError(f"no language of FLEURS has {', '.join(self.splits)} in {base}")
        return read_fleurs(base, wanted, self.splits, self.text, root)
