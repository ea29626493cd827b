"""Speech Commands: a folder a word, and lists of what is held out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_lab.audio.folders import is_audio
from asr_lab.data.sources.rows import Found, counted, tried
from asr_lab.data.sources.text_lines import read_lines
from asr_lab.data.utterance import Utterance
from asr_lab.errors import DataError

PUBLISHED = {"train": 84843, "dev": 9981, "test": 11005}
"""Of version 0.02."""
LISTS = {"dev": "validation_list.txt", "test": "testing_list.txt"}
NOISE = "_"
"""How folders begin that are of no word."""


def speech_commands_rows(base: Path, split: str) -> Iterator[Found]:
    """The clips of a split with their word; columns speaker, language, split. DataError where a list is absent."""
    yield from counted(_rows(base, split), f"Speech Commands {split}", PUBLISHED[split])


def _rows(base: Path, split: str) -> Iterator[Found]:
    lists = {name: _listed(base / file) for name, file in LISTS.items()}
    if split in lists:
        names = sorted(lists[split])
    else:
        held_out = lists["dev"] | lists["test"]
        names = [name for name in _clips(base) if name not in held_out]
    for name in names:

        def make(name: str = name) -> Utterance:
            word, _, file = name.partition("/")
            if not word or not file or word.startswith((NOISE, ".")) or "/" in file:
                raise ValueError(f"is no clip of a word: {name[:60]!r}")
            columns = {"speaker": file.partition("_nohash_")[0], "language": "en", "split": split}
            return Utterance(name.rpartition(".")[0] or name, str(base / name), None, word, columns=columns)

        yield tried(name[:200], base, "", make)


def _listed(path: Path) -> set[str]:
    if not path.is_file():
        raise DataError(f"no list {path}; the archive of Speech Commands is not whole: unpack it again")
    return {line.text.strip() for line in read_lines(path) if line.text.strip()}


def _clips(base: Path) -> Iterator[str]:
    words = sorted(p for p in base.iterdir() if p.is_dir() and not p.name.startswith((NOISE, ".")))
    for word in words:
        yield from sorted(f"{word.name}/{p.name}" for p in word.iterdir() if is_audio(p.name))
