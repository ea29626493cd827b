"""Recordings in folders: tables of transcripts, and trees like LibriSpeech's."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_lab.data.utterance import BadCut, Source, Utterance
from asr_lab.errors import DataError

TRANSCRIPTS = "*.trans.txt"


def read_table(table: Path, folder: Path, audio_column: str, text_column: str, id_column: str | None = None) -> Source:
    """The utterances of a table with a header row: tab-separated for `.tsv` (no quoting), else csv (RFC 4180).

    Audio paths are relative to `folder`; absolute ones and those that lead out of it are allowed, since a file that
    a table names is only ever decoded as audio. Columns `start_s`, `duration_s` and `channel` say which stretch of
    the file it is; without `start_s`, `duration_s` is the declared length of the whole file. Everything else is kept.
    Rows that make no sense are bad; DataError for a table that is absent, is not UTF-8, or lacks a column.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"no transcripts at {table}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table} cannot be read as UTF-8 text: {error}") from error
    rows = _rows(table, text)
    _, header = next(rows, (0, []))
    for column in (audio_column, text_column, id_column):
        if column is not None and column not in header:
            raise DataError(f"{table} has no column {column!r} (have: {', '.join(header) or 'none'})")
    if doubled := sorted({c for c in header if header.count(c) > 1}):
        raise DataError(f"{table} has more than one column {doubled[0]!r}")
    id_column = id_column or ("id" if "id" in header else None)
    bad: list[BadCut] = []

    def utterances() -> Iterator[Utterance]:
        for line, values in rows:
            if not values:
                continue
            name = f"{table.name}:{line}"
            if len(values) != len(header):
                bad.append(BadCut(name, str(table), f"row has {len(values)} fields, the header {len(header)}"))
                continue
            row = dict(zip(header, values, strict=True))
            try:
                yield _utterance(row, folder, audio_column, text_column, id_column)
            except ValueError as error:
                bad.append(BadCut(row.get(id_column or "", "") or name, row[audio_column], str(error)))

    return Source(utterances(), bad)


def _rows(table: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with its line number."""
    if table.suffix == ".tsv":
        for number, line in enumerate(text.split("\n"), start=1):
            line = line.removesuffix("\r")
            yield number, line.split("\t") if line else []
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{table}:{reader.line_num} is not csv: {error}") from error


def _utterance(row: dict[str, str], folder: Path, audio: str, text: str, id: str | None) -> Utterance:
    if not row[audio]:
        raise ValueError("names no audio file")
    if "\0" in row[audio]:
        raise ValueError("its path holds a zero byte")
    own = {audio, text, id, "start_s", "duration_s", "channel"}
    segment = bool(row.get("start_s"))
    duration_s = _seconds(row, "duration_s")
    return Utterance(
        id=row[id] if id else Path(row[audio]).with_suffix("").as_posix(),
        audio=str(folder / row[audio]),
        duration_s=duration_s if segment else None,
        text=row[text],
        start_s=_seconds(row, "start_s") or 0.0,
        channel=int(row["channel"]) if row.get("channel") else None,
        columns={name: value for name, value in row.items() if name not in own},
        file_s=None if segment else duration_s,
    )


def _seconds(row: Mapping[str, str], column: str) -> float | None:
    if not row.get(column):
        return None
    try:
        value = float(row[column])
    except ValueError:
        raise ValueError(f"{column} is not a number: {row[column]!r}") from None
    if not 0 <= value < float("inf"):
        raise ValueError(f"{column} must not be below 0, got {row[column]}")
    return value


def has_tree(folder: Path) -> bool:
    """Whether there is a LibriSpeech-style transcript anywhere below."""
    return next(folder.rglob(TRANSCRIPTS), None) is not None


def read_tree(folder: Path, columns: Mapping[str, str]) -> Source:
    """The utterances of a tree like LibriSpeech's: `speaker/chapter/speaker-chapter.trans.txt` beside the audio.

    Each line is an id and its text; the audio is `<id>.flac` (or wav, ogg, opus, mp3). The columns are `speaker`,
    `chapter` and the given ones. Durations are not known until the headers are read.
    """
    bad: list[BadCut] = []

    def utterances() -> Iterator[Utterance]:
        for transcript in sorted(folder.rglob(TRANSCRIPTS)):
            # Texts, not paths: those would take two fifths of the time that listing 281,000 files takes.
            beside = f"{transcript.parent}/"
            found = (os.path.splitext(name) for name in os.listdir(beside))
            endings = {stem: stem + ending for stem, ending in found if ending != ".txt"}
            try:
                lines = transcript.read_text(encoding="utf-8").splitlines()
            except UnicodeDecodeError as error:
                raise DataError(f"{transcript} cannot be read as UTF-8 text: {error}") from error
            for line in filter(None, lines):
                name, _, text = line.partition(" ")
                speaker, _, rest = name.partition("-")
                own = {"speaker": speaker, "chapter": rest.partition("-")[0]}
                audio = beside + endings.get(name, f"{name}.flac")
                yield Utterance(name, audio, None, text, columns={**columns, **own})

    return Source(utterances(), bad)
