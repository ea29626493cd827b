"""Parts of LibriSpeech: trees by speaker and chapter, each with a published number of utterances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr_lab.data.sources.rows import absent, counted, fetch
from asr_lab.data.sources.trees import chained, read_tree
from asr_lab.data.utterance import Source, Utterance
from asr_lab.files import real_path

PUBLISHED = {
    "train-clean-100": 28539,
    "train-clean-360": 104014,
    "train-other-500": 148688,
    "dev-clean": 2703,
    "dev-other": 2864,
    "test-clean": 2620,
    "test-other": 2939,
    "train-clean-5": 1519,
    "dev-clean-2": 1089,
}
"""Utterances of each part; the last two are of mini LibriSpeech."""
TITLES = {"librispeech": ("LibriSpeech", 12), "mini_librispeech": ("Mini LibriSpeech", 31)}


def read_parts(name: str, base: Path, parts: Sequence[str], root: Path) -> Source:
    """The utterances of some parts; a part of another number of utterances than is published is warned of.

    DataError where one is absent, with what to do.
    """
    title, number = TITLES[name]
    folders = [real_path(base / part) for part in parts]
    if lacking := [folder for folder in folders if not folder.is_dir()]:
        addresses = "".join(
            f"\n  https://www.openslr.org/resources/{number}/{folder.name}.tar.gz" for folder in lacking
        )
        raise absent(title, lacking, root, f"{fetch(name, [f.name for f in lacking])}\nwhich fetches{addresses}")
    return chained([_part(title, folder, part) for folder, part in zip(folders, parts, strict=True)])


def _part(title: str, folder: Path, part: str) -> Source:
    tree = read_tree(folder, {"split": part, "language": "en"})
    rows = counted(tree.utterances, f"{title} {part}", PUBLISHED[part])
    return Source((one for one in rows if isinstance(one, Utterance)), tree.bad)
