"""VoxPopuli: as the publisher's script cuts it, or its annotations over the recordings of whole sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from asr_lab.data.sources.rows import Found, tried
from asr_lab.data.sources.text_lines import is_text, read_lines
from asr_lab.data.utterance import Utterance, brief
from asr_lab.errors import DataError

VoxText = Literal["normalized", "raw"]
CUT = {"id": "id", "raw": "raw_text", "normalized": "normalized_text"}
WHOLE = {"id": "id_", "raw": "original_text", "normalized": "normed_text"}
"""What columns are called in the two kinds of table."""
KEPT = ("speaker_id", "gender", "accent", "is_gold_transcript")


def cut_table(base: Path, language: str, split: str) -> Path:
    """The table that the publisher's script writes beside the utterances."""
    return base / "transcribed_data" / language / f"asr_{split}.tsv"


def whole_table(base: Path, language: str) -> Path:
    """The published annotations of sessions, plain where it is there, else compressed."""
    plain = base / "annotations" / "asr" / f"asr_{language}.tsv"
    return plain if plain.is_file() else plain.with_name(f"{plain.name}.gz")


def cut_rows(base: Path, language: str, split: str, text: VoxText) -> Iterator[Found]:
    """Utterances that the publisher's script cut: what its voice activity detection kept, joined."""
    table = cut_table(base, language, split)
    for name, row, problem in _rows(table, "\t", (CUT["id"], CUT[text])):

        def make(row: dict[str, str] = row) -> Utterance:
            own = row[CUT["id"]]
            audio = table.parent / own[:4] / f"{own}.ogg"
            return Utterance(own, str(audio), None, row[CUT[text]], columns=_columns(row, language, split))

        yield tried(name, table, problem, make, row.get(CUT[text]))


def whole_rows(base: Path, language: str, splits: tuple[str, ...], text: VoxText) -> Iterator[Found]:
    """Stretches of whole sessions, from the start of each utterance to its end, its pauses included.

    The publisher's script leaves pauses out, so that its utterances are shorter. Rows of no split are none.
    """
    table = whole_table(base, language)
    needed = ("session_id", WHOLE["id"], WHOLE[text], "split", "start_time", "end_time")
    for name, row, problem in _rows(table, "|", needed):
        if not problem and row["split"] not in splits:
            continue

        def make(row: dict[str, str] = row) -> Utterance:
            session, split = row["session_id"], row["split"]
            start_s, end_s = _number(row["start_time"]), _number(row["end_time"])
            if end_s <= start_s:
                raise ValueError(f"end_time must be after start_time, got {start_s:g} to {end_s:g}")
            return Utterance(
                id=f"{session}-{row[WHOLE['id']]}",
                audio=str(base / "raw_audios" / "original" / session[:4] / f"{session}_original.ogg"),
                duration_s=round(end_s - start_s, 9),
                text=row[WHOLE[text]],
                start_s=start_s,
                columns=_columns(row, language, split),
            )

        yield tried(name, table, problem, make, row.get(WHOLE[text]))


def _rows(table: Path, separator: str, needed: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str], str]]:
    """Each row with its place, and what is wrong with it."""
    lines = iter(read_lines(table))
    header = next((line.text.split(separator) for line in lines), [])
    if lacking := [name for name in needed if name not in header]:
        raise DataError(f"{table} is no table of VoxPopuli: its header lacks {lacking[0]}")
    for number, line, problem in lines:
        if not line and not problem:
            continue
        fields = line.split(separator)
        if not problem and len(fields) != len(header):
            problem = f"row has {len(fields)} fields, the header {len(header)}"
        yield f"{table.name}:{number}", dict(zip(header, fields, strict=False)), problem


def _columns(row: dict[str, str], language: str, split: str) -> dict[str, str]:
    kept = {name: row[name] for name in KEPT if row.get(name)}
    if wrong := [name for name, value in kept.items() if not is_text(value)]:
        raise ValueError(f"{wrong[0]} is not UTF-8")
    speaker = kept.pop("speaker_id", "")
    named = {"speaker": speaker} if speaker else {}
    return {**named, **kept, "language": language.partition("_")[0], "locale": language, "split": split}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"is not a number of seconds: {brief(text)}") from None
