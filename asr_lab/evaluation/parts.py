"""What was decoded of one set, kept on disk until all sets are: an evaluation that was killed goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from asr_lab.config.stored import read_stored
from asr_lab.data.utterance import UnreadableUtterance
from asr_lab.errors import LabError
from asr_lab.files import write_json
from asr_lab.recognition.decoded_utterance import DecodedUtterance

FORMAT = 1


@attrs.frozen
class PartRow:
    """A `DecodedUtterance` as it is stored."""

    id: str
    reference: str
    hypothesis: str
    columns: dict[str, Any]
    duration_s: float
    audio: str


@attrs.frozen
class PartUnreadable:
    """An `UnreadableUtterance` as it is stored."""

    id: str
    audio: str
    reason: str
    text: str | None
    columns: dict[str, Any]


@attrs.frozen
class DecodedPart:
    """One set, decoded."""

    format: int
    name: str
    data: str
    """The fingerprint of the set's data."""
    rows: tuple[PartRow, ...]
    unreadable: tuple[PartUnreadable, ...]
    unspellable: int
    """References that the tokenizer cannot spell."""
    characters: str
    """Characters that it has no token for, the most frequent first."""
    compute_s: float
    audio_s: float

    @classmethod
    def of(
        cls,
        name: str,
        data: str,
        decoded: Sequence[DecodedUtterance],
        unreadable: Sequence[UnreadableUtterance],
        unspellable: tuple[int, str],
        took: tuple[float, float],
    ) -> DecodedPart:
        """What was decoded of a set, as it is stored; `took` is seconds of computing and of audio."""
        rows = tuple(PartRow(u.id, u.reference, u.hypothesis, dict(u.columns), u.duration_s, u.audio) for u in decoded)
        bad = tuple(PartUnreadable(u.id, u.audio, u.reason, u.text, dict(u.columns)) for u in unreadable)
        return cls(FORMAT, name, data, rows, bad, *unspellable, *took)

    @property
    def decoded(self) -> list[DecodedUtterance]:
        """The utterances with their hypotheses, in the set's order."""
        return [DecodedUtterance(r.id, r.reference, r.hypothesis, r.columns, r.duration_s, r.audio) for r in self.rows]

    @property
    def bad(self) -> list[UnreadableUtterance]:
        """The utterances that could not be read."""
        return [UnreadableUtterance(u.id, u.audio, u.reason, u.text, u.columns) for u in self.unreadable]


def write_part(part: DecodedPart, folder: Path) -> Path:
    """Write a part under its set's name; readers see it whole, or not at all."""
    path = part_path(folder, part.name)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, attrs.asdict(part))
    return path


def read_part(folder: Path, name: str) -> DecodedPart | None:
    """The part of a set; None where there is none, or it is damaged or of another format, and is decoded anew."""
    try:
        part = read_stored(part_path(folder, name), DecodedPart)
    except LabError:
        return None
    return part if part.format == FORMAT and part.name == name else None


def part_path(folder: Path, name: str) -> Path:
    """The file of a set's part."""
    return folder / f"{name.replace('/', '_')}.json"
