"""Tables of transcripts: tab-separated or csv, with a header row."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import attrs

from asr_lab.data.sources.columns import STRETCH, check_header, stretch_of
from asr_lab.data.sources.text_lines import TextLine, is_text, read_lines
from asr_lab.data.utterance import Source, UnreadableUtterance, Utterance, brief
from asr_lab.errors import DataError


class TableRow(NamedTuple):
    """A row's fields, or why it has none."""

    number: int
    """Of its last line, from 1."""
    values: list[str]
    problem: str = ""


def read_table(table: Path, folder: Path, audio_column: str, text_column: str, id_column: str | None = None) -> Source:
    """The utterances of a table with a header row: tab-separated for `.tsv` (no quoting), else csv (RFC 4180).

    Audio paths are relative to `folder`; absolute ones and those that lead out of it are allowed, since a file that
    a table names is only ever decoded as audio. Columns `start_s`, `end_s`, `duration_s` and `channel` say which
    stretch of the file it is; without a start or an end, `duration_s` is the declared length of the whole file.
    Everything else is kept. Rows that make no sense are bad; DataError for a table that is absent, is not UTF-8, lacks
    a column, or has one that plainly means a stretch by another name.
    """
    rows = _rows(table)
    first = next(rows, TableRow(1, []))
    header = [name.strip() for name in first.values]
    if first.problem or not all(map(is_text, header)):
        raise DataError(f"{table}: its header {first.problem or 'is not UTF-8'}")
    check_header(table, header, [c for c in (audio_column, text_column, id_column) if c is not None])
    names = _Names(id_column or ("id" if "id" in header else None))
    bad: list[UnreadableUtterance] = []

    def utterances() -> Iterator[Utterance]:
        for number, values, problem in rows:
            name = f"{table.name}:{number}"
            if not problem and len(values) != len(header):
                problem = f"row has {len(values)} fields, the header {len(header)}"
            if problem:
                bad.append(UnreadableUtterance(name, str(table), problem))
                continue
            row = dict(zip(header, values, strict=True))
            try:
                yield _utterance(row, folder, audio_column, text_column, names)
            except ValueError as error:
                own = row.get(names.column or "", "")
                called = own[:200] if is_text(own) and own else name
                text = row[text_column] if is_text(row[text_column]) else None
                columns = {n: v for n, v in row.items() if n not in (audio_column, text_column, names.column)}
                bad.append(UnreadableUtterance(called, row[audio_column][:4096], str(error), text, columns))

    return Source(utterances(), bad, [table])


@attrs.define
class _Names:
    """What rows are called: by a column, else by their path, start and channel."""

    column: str | None
    _taken: dict[str, str] = attrs.field(factory=dict)
    """The path that goes by each name without its ending: two files that differ in their endings alone need them."""

    def of(self, row: dict[str, str], audio: str, start_s: float | None, channel: int | None) -> str:
        if self.column and row[self.column]:
            return row[self.column]
        path = Path(audio).as_posix()
        stem = os.path.splitext(path)[0]
        name = stem if self._taken.setdefault(stem, path) == path else path
        if not is_text(name):
            name = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if start_s is not None:
            name += "@" + f"{start_s:.6f}".rstrip("0").rstrip(".")
        return name if channel is None else f"{name}-c{channel}"


def _rows(table: Path) -> Iterator[TableRow]:
    """Each row that is not blank, the header first."""
    if table.suffix == ".tsv":
        for number, text, problem in read_lines(table):
            if text or problem:
                yield TableRow(number, text.split("\t"), problem)
        return
    left_out: list[TextLine] = []
    reader = csv.reader(_csv_lines(read_lines(table), left_out), strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            if "unexpected end" in str(error):  # everything after the quote that was never closed
                raise DataError(f"{table}:{reader.line_num} is not csv: {error}") from error
            yield TableRow(reader.line_num, [], f"is not csv: {error}")
            continue
        while left_out:
            line = left_out.pop(0)
            yield TableRow(line.number, [], line.problem)
        if row is None:
            return
        if row:
            yield TableRow(reader.line_num, row)


def _csv_lines(lines: Iterator[TextLine], left_out: list[TextLine]) -> Iterator[str]:
    for line in lines:
        if line.problem:
            left_out.append(line)
            yield "\n"  # so that the reader counts it
        else:
            yield line.text + "\n"


def _utterance(row: dict[str, str], folder: Path, audio: str, text: str, names: _Names) -> Utterance:
    path = row[audio]
    if not path:
        raise ValueError("names no audio file")
    for column, value in row.items():
        if column != audio and not is_text(value):
            raise ValueError(f"{column} is not UTF-8: {brief(value)}")
        if column != audio and "\0" in value:
            raise ValueError(f"{column} holds a zero byte")
    start_s, duration_s, channel = stretch_of(row)
    own = {audio, text, names.column, *STRETCH}
    return Utterance(
        id=names.of(row, path, start_s, channel),
        audio=str(folder / path),
        duration_s=None if start_s is None else duration_s,
        text=row[text],
        start_s=start_s or 0.0,
        channel=channel,
        columns={name: value for name, value in row.items() if name not in own},
        file_s=duration_s if start_s is None else None,
    )
