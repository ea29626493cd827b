"""An utterance as the data layer sees it: where its audio is, and its transcript."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import attrs

MAX_ID_CHARACTERS = 4096
"""The longest path that systems allow."""


@attrs.frozen(slots=True)
class Utterance:
    """One stretch of one channel of a recording, with its transcript. Audio stays on disk.

    ValueError for values that no manifest can mean, whatever it was read from: the reason of a bad row.
    """

    id: str
    audio: str
    """Path of the file."""
    duration_s: float | None
    """Length in seconds; None = not known until the header is read."""
    text: str
    start_s: float = 0.0
    channel: int | None = None
    """None = as `data.channel` says."""
    columns: dict[str, Any] = attrs.field(factory=dict)
    """Everything else the manifest says: `speaker`, `language`, `split`, …"""
    file_s: float | None = None
    """Length of the whole file that the manifest declares, in seconds; checked against the header."""

    def __attrs_post_init__(self) -> None:
        for name, text in (("id", self.id), ("text", self.text)):
            if not isinstance(text, str):
                raise ValueError(f"its {name} is no text but {brief(text)}")
            if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
                raise ValueError(f"its {name} is not UTF-8: {brief(text)}")
            if "\0" in text:
                raise ValueError(f"its {name} holds a zero byte")
        if not self.id or len(self.id) > MAX_ID_CHARACTERS:
            raise ValueError(f"its id is of {len(self.id)} characters, not of 1 to {MAX_ID_CHARACTERS}")
        if not self.audio or not isinstance(self.audio, str):
            raise ValueError("names no audio file")
        if "\0" in self.audio:
            raise ValueError("its path holds a zero byte")
        for name, seconds in (("start", self.start_s), ("duration", self.duration_s), ("file", self.file_s)):
            if seconds is not None and not 0 <= seconds < math.inf:  # nan as well
                raise ValueError(f"its {name}_s must be a number of seconds from 0, got {seconds:g}")
        if self.channel is not None and self.channel < 0:
            raise ValueError(f"its channel must be from 0, got {self.channel}")


def brief(value: object, length: int = 60) -> str:
    """A value as Python writes it, cut where it is long."""
    shown = repr(value[: length + 1] if isinstance(value, str | bytes) else value)
    return shown if len(shown) <= length else f"{shown[:length]}…"


LeftOutReason = Literal[
    "unspellable",
    "too short for its text",
    "too short as it was drawn",
    "text too long for a decoder",
    "no text",
    "no audio",
    "unreadable",
    "wrong duration",
    "second of its id",
    "bad row",
]
"""What reasons are counted as."""
DRAWN: LeftOutReason = "too short as it was drawn"
"""Left out once, of the epoch that drew it so."""


class BadCut(NamedTuple):
    """An utterance that cannot be used, and why."""

    id: str
    audio: str
    reason: str
    """In words, with what is wrong."""
    kind: LeftOutReason = "unreadable"
    """What the reason is counted as."""


@attrs.frozen
class UnreadableUtterance:
    """An utterance of a set that cannot be decoded, or a row that makes none, and why."""

    id: str
    audio: str
    """Path of its file; of the manifest where the row names none."""
    reason: str
    text: str | None = None
    """Its transcript as written; None where its row in the manifest does not tell it."""
    columns: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Source:
    """What a dataset gives: utterances, and those it could not make sense of.

    `bad` is whole once `utterances` was read to its end.
    """

    utterances: Iterable[Utterance]
    bad: Sequence[UnreadableUtterance] = ()
    files: Sequence[Path] = ()
    """All that decide the rows, but for the audio: while they stay as they are, so does what was read. None where that
    is not known: such a set is read anew at each start."""


@attrs.frozen
class Joining:
    """How short utterances of one set are concatenated into longer ones, drawn anew each epoch."""

    max_utterances: int = 5
    """At most this many in one; the number is drawn uniformly from `min_utterances` to it."""
    min_utterances: int = 1
    max_s: float = 30.0
    """No joined utterance is longer, in seconds before speed perturbation."""
    gap_s: tuple[float, float] = (0.05, 0.3)
    """Silence between two, in seconds, drawn uniformly from this range."""
    same: str | None = "speaker"
    """Only utterances that agree in this column are joined; None or "" joins any."""


@attrs.frozen
class DataSource:
    """A set to read: its utterances, and how they are selected, weighted and joined."""

    label: str
    """What tables call it; sets of one label are scored as one."""
    read: Callable[[], Source]
    """The utterances, unfiltered; DataError when they are absent."""
    weight: float = 1.0
    """How often an epoch passes over it."""
    where: Mapping[str, Any] = attrs.field(factory=dict)
    """Conditions as `Where` takes them."""
    join: Joining | None = None
    settings: str = ""
    """Everything else that decides what `read` makes of its files."""
