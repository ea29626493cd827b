"""AISHELL-1: one file of transcripts, recordings by split and speaker, in folders or in one archive a speaker."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from asr_lab.audio.folders import audio_files
from asr_lab.data.sources.archives import Archive, plain_tar
from asr_lab.data.sources.rows import Found, counted, tried
from asr_lab.data.sources.text_lines import read_lines
from asr_lab.data.utterance import Utterance
from asr_lab.errors import DataError, count_of

PUBLISHED = {"train": 120098, "dev": 14326, "test": 7176}
"""Utterances with a transcript."""


def aishell_rows(base: Path, split: str, spaced: bool, genders: dict[str, str]) -> Iterator[Found]:
    """The recordings of a split that have a transcript; columns speaker, language, split, gender where it is known.

    Recordings without a transcript, 325 in all that is published, are warned of. `spaced` keeps the spaces between
    words. DataError where transcripts are absent.
    """
    table = base / "transcript" / "aishell_transcript_v0.8.txt"
    if not table.is_file():
        raise DataError(f"no transcripts {table}; the archive of AISHELL-1 is not whole: unpack it again")
    yield from counted(_rows(base, split, table, spaced, genders), f"AISHELL-1 {split}", PUBLISHED[split])


def _rows(base: Path, split: str, table: Path, spaced: bool, genders: dict[str, str]) -> Iterator[Found]:
    texts = {}
    problems = {}
    for number, line, problem in read_lines(table):
        name, *words = line.split()
        if problem or not name:
            problems[f"{table.name}:{number}"] = problem
        else:
            texts[name] = (" " if spaced else "").join(words)
    for place, problem in problems.items():
        yield tried(place, table, problem or "is blank", _never)
    without = 0
    for name, speaker, audio in _recordings(base, split):
        if name not in texts:
            without += 1
            continue

        def make(name: str = name, speaker: str = speaker, audio: str = audio) -> Utterance:
            columns = {"speaker": speaker, "language": "zh", "split": split}
            if gender := genders.get(speaker.removeprefix("S")):
                columns["gender"] = gender
            return Utterance(name, audio, None, texts[name], columns=columns)

        yield tried(name, audio, "", make)
    if without:
        warnings.warn(
            f"AISHELL-1 {split}: {count_of(without, 'recording')} without a transcript; not read", stacklevel=2
        )


def genders_of(table: Path) -> dict[str, str]:
    """The gender of each speaker by number, as far as the resources' table of speakers is there."""
    rows = (line.text.split() for line in read_lines(table)) if table.is_file() else ()
    return {row[0]: {"M": "male", "F": "female"}[row[1]] for row in rows if len(row) == 2 and row[1] in "MF"}


def _recordings(base: Path, split: str) -> Iterator[tuple[str, str, str]]:
    """Name, speaker and path of each recording: of folders where they are, else of the archives as published."""
    folder = base / "wav" / split
    if folder.is_dir():
        for path in audio_files(folder):
            yield path.stem, path.parent.name, str(path)
        return
    for path in sorted((base / "wav").glob("*.tar.gz")):
        archive = Archive(plain_tar(path))
        for name in sorted(archive.members):
            *_, part, speaker, file = ["", "", *name.split("/")]
            if part == split and file.endswith(".wav"):
                yield file.removesuffix(".wav"), speaker, archive.audio(name)


def _never() -> Utterance:
    raise AssertionError
