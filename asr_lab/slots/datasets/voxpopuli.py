"""VoxPopuli's transcribed speech, cut by the publisher's script or as it is downloaded."""

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

HOW = (
    "it is free; download\n"
    "  https://dl.fbaipublicfiles.com/voxpopuli/annotations/asr/asr_LANGUAGE.tsv.gz into annotations/asr/, and\n"
    "  https://dl.fbaipublicfiles.com/voxpopuli/audios/original_YEAR.tar (2009 to 2020), unpacked in raw_audios/"
)


@section
class VoxPopuli(Dataset):
    """Speeches of the European Parliament in 16 languages (Wang et al., ACL 2021).

    Columns speaker, language, locale, split, gender, accent, is_gold_transcript. The publisher's script leaves pauses
    out of utterances; without it they are read from their start to their end.
    """

    languages: tuple[
        Literal[
            "cs",
            "de",
            "en",
            "en_accented",
            "es",
            "et",
            "fi",
            "fr",
            "hr",
            "hu",
            "it",
            "lt",
            "nl",
            "pl",
            "ro",
            "sk",
            "sl",
        ],
        ...,
    ] = attrs.field(validator=v.min_len(1))
    """Languages, as the corpus calls them."""
    splits: tuple[Literal["train", "dev", "test"], ...] = attrs.field(validator=v.min_len(1))
    """Parts to read."""
    path: str = "voxpopuli"
    """The folder that holds `transcribed_data/`, or `annotations/` and `raw_audios/`; a relative one is under
    ASRLAB_DATA."""
    text: Literal["normalized", "raw"] = "normalized"
    """Lower case with numbers in words, which is what is scored, or as it was written, which is often empty."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.rows import absent, source_of
        from asr_lab.data.sources.trees import chained
        from asr_lab.data.sources.voxpopuli import cut_rows, cut_table, whole_rows, whole_table

        base = real_path(root / self.path)
        sources, looked = [], []
        for language in self.languages:
            tables = [cut_table(base, language, split) for split in self.splits]
            if all(table.is_file() for table in tables):
                sources += [source_of(cut_rows(base, language, split, self.text)) for split in self.splits]
            elif whole_table(base, language).is_file():
                sources.append(source_of(whole_rows(base, language, self.splits, self.text)))
            else:
                looked += [*tables, whole_table(base, language)]
        if looked:
            raise absent("VoxPopuli", looked, root, HOW)
        return chained(sources)
