"""A table of transcripts from folders of recordings: `asrlab data manifest`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import attrs

from asr_lab.data.sources.beside import read_beside
from asr_lab.data.utterance import UnreadableUtterance, Utterance
from asr_lab.errors import DataError
from asr_lab.files import write_text

NAME = "manifest.tsv"
FIXED = ("id", "audio", "text")


@attrs.frozen
class WrittenManifest:
    """What was written."""

    path: Path
    num_rows: int
    columns: tuple[str, ...]
    bad: tuple[UnreadableUtterance, ...]
    """What could not be made sense of, with reasons."""


def make_manifest(folders: Sequence[Path], out: Path | None = None, *, replace: bool = False) -> WrittenManifest:
    """Write a table that `type = "folder"` reads, of all utterances of some folders.

    Paths below the table's folder are relative to it. DataError for folders without transcripts, where the table
    is there and `replace` is not given, and where several folders name no place for one.
    """
    if out is None:
        if len(folders) > 1:
            raise DataError("several folders make one manifest: say where, --out FILE.tsv")
        out = folders[0] / NAME
    if out.suffix != ".tsv":
        raise DataError(f"--out {out}: a manifest is tab-separated, and its name ends in .tsv")
    if out.exists() and not replace:
        raise DataError(f"{out} is there; --replace writes it anew")
    base = out.parent.resolve()
    utterances: list[Utterance] = []
    bad: list[UnreadableUtterance] = []
    for folder in folders:
        source = read_beside(folder.resolve())
        utterances += source.utterances
        bad += source.bad
    if not utterances:
        raise DataError(f"{folders[0]}: no utterance; the first of {len(bad)} bad ones: {bad[0].reason if bad else ''}")
    rows = [_row(one, base) for one in utterances]
    columns = (*FIXED, *sorted({name for row in rows for name in row} - set(FIXED)))
    lines = ["\t".join(columns), *("\t".join(_cell(row.get(name, "")) for name in columns) for row in rows)]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, "\n".join(lines) + "\n")
    return WrittenManifest(out, len(rows), columns, tuple(bad))


def _row(one: Utterance, base: Path) -> dict[str, str]:
    row = {"id": one.id, "audio": _relative(one.audio, base), "text": one.text}
    if one.duration_s is not None or one.start_s:
        row["start_s"] = _number(one.start_s)
    if one.duration_s is not None:
        row["duration_s"] = _number(one.duration_s)
    if one.channel is not None:
        row["channel"] = str(one.channel)
    return {**{name: str(value) for name, value in one.columns.items()}, **row}


def _relative(audio: str, base: Path) -> str:
    path = os.path.relpath(audio, base)
    return audio if path.startswith("..") else path


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _cell(value: str) -> str:
    """A value that ends neither its field nor its row."""
    return value.replace("\t", " ").replace("\n", " ").replace("\r", " ")
