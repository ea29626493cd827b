"""FLEURS in the four layouts that it is published in: two of tar archives or folders, two of parquet files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from asr_lab.audio.folders import is_audio
from asr_lab.data.fleurs_languages import FleursLanguage
from asr_lab.data.sources.archives import Archive, find_archive
from asr_lab.data.sources.rows import Found, absent, counted, fetch, source_of, tried
from asr_lab.data.sources.text_lines import read_lines
from asr_lab.data.sources.trees import chained
from asr_lab.data.utterance import Source, Utterance
from asr_lab.errors import DataError, count_of

Split = Literal["train", "dev", "test"]
TextColumn = Literal["transcription", "raw_transcription"]
NUM_FIELDS = 7
"""id, file name, raw transcription, transcription, characters, samples, gender; no header, no quoting."""
PARQUET_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


class _SplitAudio(NamedTuple):
    """The recordings of a split by file name, wherever they lie."""

    paths: dict[str, str]
    place: str
    """Where one that is absent was looked for."""


class _SplitTable(NamedTuple):
    """A split as it was found: its rows, and where its recordings are."""

    table: Path
    recordings: _SplitAudio


def read_fleurs(
    base: Path, languages: Sequence[FleursLanguage], splits: Sequence[Split], text: TextColumn, root: Path
) -> Source:
    """The utterances of some languages' splits below `base`; `root` is where data paths start, for messages.

    Columns: `locale` (the corpus' code), `language`, `script`, `family`, `split`, `sentence` (shared by all languages;
    up to three recordings are of one), `gender`. A row without its recording is an utterance without audio; recordings
    without a row, and counts other than the published ones, are warned of. DataError where anything is absent.
    """
    wanted = [(language, split) for language in languages for split in splits]
    lacking = [(language, split) for language, split in wanted if not _is_there(base, language.code, split)]
    if lacking:
        looked = [base / "data" / language.code / f"{split}.tsv" for language, split in lacking]
        parts = [f"{language.code}/{split}" for language, split in lacking]
        if len(parts) > 8:
            parts = [f"*/{split}" for split in splits]
        raise absent("FLEURS", looked, root, fetch("fleurs", parts))
    return chained([source_of(_rows(base, language, split, text)) for language, split in wanted])


def languages_there(base: Path, languages: Sequence[FleursLanguage], splits: Sequence[Split]) -> list[FleursLanguage]:
    """Those of which every split is there, in any layout."""
    return [one for one in languages if all(_is_there(base, one.code, split) for split in splits)]


def _rows(base: Path, language: FleursLanguage, split: Split, text: TextColumn) -> Iterator[Found]:
    found = _find(base, language.code, split)
    assert found is not None  # read_fleurs looked
    what = f"FLEURS {language.code} {split}"
    columns = {
        "locale": language.code,
        "language": language.iso639,
        "script": language.script,
        "family": language.family,
        "split": split,
    }
    used: set[str] = set()
    yield from counted(_table_rows(found, columns, text, used), what, language.published(split))
    if unused := found.recordings.paths.keys() - used:
        first = min(unused)
        warnings.warn(f"{what}: {count_of(len(unused), 'recording')} without a row, as {first}; not read", stacklevel=2)


def _table_rows(found: _SplitTable, columns: dict[str, str], text: TextColumn, used: set[str]) -> Iterator[Found]:
    for number, line, problem in read_lines(found.table):
        if not line and not problem:
            continue
        fields = line.split("\t")  # not stripped: the last but two may begin with spaces
        if not problem and len(fields) != NUM_FIELDS:
            problem = f"row has {len(fields)} fields, not {NUM_FIELDS}"
        name = fields[1].rpartition("/")[2] if len(fields) > 1 else ""
        used.add(name)
        at = 2 if text == "raw_transcription" else 3
        spoken = fields[at] if len(fields) == NUM_FIELDS else None

        def make(fields: list[str] = fields, name: str = name, at: int = at) -> Utterance:
            if not name:
                raise ValueError("names no audio file")
            return Utterance(
                id=f"{columns['locale']}/{name.rpartition('.')[0] or name}",
                audio=found.recordings.paths.get(name) or f"{found.recordings.place}/{name}",
                duration_s=None,
                text=fields[at],
                columns={**columns, "sentence": fields[0], "gender": fields[6].strip().lower()},
            )

        yield tried(f"{columns['locale']}/{found.table.name}:{number}", found.table, problem, make, spoken)


def _is_there(base: Path, code: str, split: Split) -> bool:
    """Whether a split is there in any layout; nothing is unpacked or opened to tell."""
    beside = any(table.is_file() for table in _tables(base, code, split))
    return beside or find_archive(base / code) is not None or bool(_parquet(base, code, split))


def _find(base: Path, code: str, split: Split) -> _SplitTable | None:
    for table in _tables(base, code, split):
        if table.is_file():
            return _SplitTable(table, _beside(table.parent / "audio" / split))
    if (path := find_archive(base / code)) is not None:
        archive = Archive(path)
        table = archive.text_file(f"{code}/{split}.tsv")
        return _SplitTable(table, _in_archive(archive, f"{code}/audio/{split}/"))
    if files := _parquet(base, code, split):
        from asr_lab.data.sources.fleurs_parquet import as_archive

        table, archive = as_archive(files)
        return _SplitTable(table, _in_archive(archive, ""))
    return None


def _tables(base: Path, code: str, split: Split) -> tuple[Path, ...]:
    return tuple(folder / f"{split}.tsv" for folder in (base / "data" / code, base / code))


def _beside(stem: Path) -> _SplitAudio:
    """The recordings of a folder, or of a tar archive of its name, by their names without folders."""
    if stem.is_dir():
        return _SplitAudio({p.name: str(p) for p in stem.iterdir() if is_audio(p.name)}, str(stem))
    if (path := find_archive(stem)) is not None:
        return _in_archive(Archive(path), "")
    raise DataError(f"FLEURS: neither {stem} nor {stem}.tar.gz is there; the table {stem.parent.parent} has no audio")


def _in_archive(archive: Archive, below: str) -> _SplitAudio:
    names = [name for name in archive.members if name.startswith(below) and is_audio(name)]
    paths = {name.rpartition("/")[2]: archive.audio(name) for name in names}
    return _SplitAudio(paths, str(archive.path))


def _parquet(base: Path, code: str, split: Split) -> list[Path]:
    named = PARQUET_SPLITS[split]
    patterns: tuple[tuple[Path, str], ...] = (
        (base / "parquet-data" / code, f"{named}-*.parquet"),
        (base / code / named, "*.parquet"),
        (base / code, f"{named}-*.parquet"),
    )
    found: Any = next((files for folder, pattern in patterns if (files := sorted(folder.glob(pattern)))), [])
    return list(found)
