"""LibriSpeech as it is unpacked from openslr.org/12."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.errors import DataError
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source

SPLITS = ("dev-clean", "dev-other", "test-clean", "test-other", "train-clean-100", "train-clean-360", "train-other-500")


def _unknown(splits: tuple[str, ...]) -> str | None:
    unknown = [s for s in splits if s.replace(".", "-") not in SPLITS]
    return f"must hold names from {', '.join(SPLITS)}, got {unknown[0]!r}" if unknown else None


@section
class LibriSpeech(Dataset):
    """Read English, 960 hours (Panayotov et al., ICASSP 2015); columns speaker, chapter, split."""

    splits: tuple[str, ...] = attrs.field(validator=v.all_of(v.min_len(1), v.checked_by(_unknown)))
    """Parts to read, as their folders are called; `test.clean` is `test-clean`."""
    path: str = "LibriSpeech"
    """The folder that holds the parts; a relative one is under ASRLAB_DATA."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return tuple(root / self.path / split.replace(".", "-") for split in self.splits)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.trees import chained, read_tree

        names = [folder.name for folder in self.places(root)]
        folders = [folder.resolve() for folder in self.places(root)]
        if missing := [f for f in folders if not f.is_dir()]:
            looked = "".join(f"\n  {f}" for f in missing)
            archives = " ".join(f"https://www.openslr.org/resources/12/{f.name}.tar.gz" for f in missing)
            raise DataError(
                f"LibriSpeech is not there; looked for{looked}\nget it with\n"
                f"  mkdir -p {root.resolve()} && cd {root.resolve()}\n"
                f"  for url in {archives}; do curl -L $url | tar xz; done\nor set ASRLAB_DATA to where it is"
            )
        return chained([read_tree(f, {"split": n, "language": "en"}) for f, n in zip(folders, names, strict=True)])
