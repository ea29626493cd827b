"""Common Voice of any release: tables whose columns changed from release to release, read by their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_lab.data.sources.rows import Found, tried
from asr_lab.data.sources.text_lines import is_text, read_lines
from asr_lab.data.utterance import Utterance
from asr_lab.errors import DataError

RENAMED = {"client_id": "speaker", "accent": "accents"}
"""Columns that are called otherwise here."""
NEEDED = ("path", "sentence")


def common_voice_rows(locale: Path, split: str) -> Iterator[Found]:
    """The utterances of one table of a language's folder; every column that the release has is kept.

    `client_id` is the column `speaker`; `locale` and `split` are always there. Rows are split at tabs, as sentences
    hold quotes that are never closed. DataError for a table without the columns that all releases have.
    """
    table = locale / f"{split}.tsv"
    lines = iter(read_lines(table))
    header = next((line.text.split("\t") for line in lines), [])
    if (lacking := [name for name in NEEDED if name not in header]) or not all(map(is_text, header)):
        raise DataError(f"{table} is no table of Common Voice: its header lacks {', '.join(lacking) or 'UTF-8'}")
    for number, line, problem in lines:
        if not line and not problem:
            continue
        fields = line.split("\t")
        # Columns at the end are left away where they are empty.
        if not problem and not len(NEEDED) < len(fields) <= len(header):
            problem = f"row has {len(fields)} fields, the header {len(header)}"

        def make(fields: list[str] = fields) -> Utterance:
            return _utterance(dict(zip(header, fields, strict=False)), locale, split)

        at = header.index("sentence")
        yield tried(f"{table.name}:{number}", table, problem, make, fields[at] if at < len(fields) else None)


def _utterance(row: dict[str, str], locale: Path, split: str) -> Utterance:
    name = row.pop("path", "")
    if not name:
        raise ValueError("names no audio file")
    text = row.pop("sentence", "")
    columns = {RENAMED.get(column, column): value for column, value in row.items() if value}
    if wrong := [column for column, value in columns.items() if not is_text(value)]:
        raise ValueError(f"{wrong[0]} is not UTF-8")
    file = name if name.endswith(".mp3") else f"{name}.mp3"  # the oldest releases leave it away
    columns |= {"locale": locale.name, "language": locale.name, "split": split}
    return Utterance(file.removesuffix(".mp3"), str(locale / "clips" / file), None, text, columns=columns)
