"""TED-LIUM, as it is unpacked from openslr.org/51, /19 or /7."""

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

ARCHIVES = {"1": "7/TEDLIUM_release1.tar.gz", "2": "19/TEDLIUM_release2.tar.gz", "3": "51/TEDLIUM_release-3.tgz"}
FOLDERS = {"1": "TEDLIUM_release1", "2": "TEDLIUM_release2", "3": "TEDLIUM_release-3"}


@section
class TedLium(Dataset):
    """English talks, 452 hours in release 3 (Hernandez et al., SPECOM 2018); columns speaker, talk, split, gender.

    Non-commercial (CC BY-NC-ND). Segments that scoring ignores are left out.
    """

    splits: tuple[Literal["train", "dev", "test"], ...] = attrs.field(validator=v.min_len(1))
    """Parts to read; dev and test are the same in releases 2 and 3."""
    release: Literal["1", "2", "3"] = "3"
    """Which of the three."""
    path: str = ""
    """The release's folder; a relative one is under ASRLAB_DATA, empty = `TEDLIUM_release-3` and its like."""
    text: Literal["joined", "published"] = "joined"
    """`we're` in place of the published `we 're`, marks of noise and pronunciation left out; or as it is published."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / (self.path or FOLDERS[self.release]),)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.rows import absent, source_of
        from asr_lab.data.sources.tedlium import stm_folder, stm_rows
        from asr_lab.data.sources.trees import chained

        base = real_path(root / (self.path or FOLDERS[self.release]))
        folders = {split: stm_folder(base, self.release, split) for split in self.splits}
        if lacking := [folder / "stm" for folder in folders.values() if not (folder / "stm").is_dir()]:
            how = f"it is free for non-commercial use; download\n  https://www.openslr.org/resources/{ARCHIVES[self.release]}"
            raise absent(f"TED-LIUM {self.release}", lacking, root, f"{how}\nand unpack it there")
        joined = self.text == "joined"
        return chained([source_of(stm_rows(f, self.release, split, joined)) for split, f in folders.items()])
