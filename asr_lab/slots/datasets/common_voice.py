"""Common Voice, as it is unpacked from Mozilla's archives, of any release."""

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

HOW = (
    "it is free, with an account: agree to its terms at https://mozilladatacollective.com, download\n"
    "  cv-corpus-VERSION-DATE-LOCALE.tar.gz and unpack it there"
)


@section
class CommonVoice(Dataset):
    """Sentences read by volunteers in some 290 languages (Ardila et al., LREC 2020).

    Columns speaker, language, locale, split, gender, age, accents and what else the release has. `validated` holds
    the other splits; splits are drawn anew for each release, so that their scores cannot be compared.
    """

    languages: tuple[str, ...] = attrs.field(validator=v.min_len(1))
    """Locales, as their folders are called: `de`, `zh-CN`."""
    splits: tuple[Literal["train", "dev", "test", "validated", "other", "invalidated"], ...] = attrs.field(
        validator=v.min_len(1)
    )
    """Tables to read."""
    path: str = ""
    """The release's folder, `cv-corpus-25.0-2026-03-09`; a relative one is under ASRLAB_DATA, empty = the only one."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.common_voice import common_voice_rows
        from asr_lab.data.sources.rows import absent, source_of
        from asr_lab.data.sources.trees import chained

        base = self._release(root)
        locales = [base / language for language in self.languages]
        tables = [locale / f"{split}.tsv" for locale in locales for split in self.splits]
        if lacking := [table for table in tables if not table.is_file()]:
            delta = "\na delta release has no train, dev and test: take a whole one" if "-delta-" in base.name else ""
            raise absent("Common Voice", lacking, root, HOW + delta)
        return chained([source_of(common_voice_rows(table.parent, table.stem)) for table in tables])

    def _release(self, root: Path) -> Path:
        if self.path:
            return real_path(root / self.path)
        found = sorted(p for p in real_path(root).glob("cv-corpus-*") if p.is_dir())
        if len(found) > 1:
            names = ", ".join(p.name for p in found)
            raise DataError(f"several releases of Common Voice are in {real_path(root)}: {names}; name one as `path`")
        return found[0] if found else real_path(root) / "cv-corpus-VERSION-DATE"
