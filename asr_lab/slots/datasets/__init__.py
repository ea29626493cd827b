"""Slot `data.train`, `data.valid`, `data.test`: where utterances come from."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import Slot, section
from asr_lab.errors import DataError
from asr_lab.files import real_path

if TYPE_CHECKING:
    from asr_lab.data.utterance import DataSource, Joining, Source


@section
class Join:
    """Concatenate short utterances of one dataset into longer ones, drawn anew each epoch (seeded)."""

    max_utterances: int = attrs.field(default=5, validator=v.between(2, 1000))
    """At most this many in one; the number is drawn uniformly from `min_utterances` to it."""
    min_utterances: int = attrs.field(default=1, validator=v.between(1, 1000))
    """At least this many in one, where there are so many left."""
    max_s: float = attrs.field(default=30.0, validator=v.above(0, 86_400))
    """No joined utterance is longer, in seconds before speed perturbation."""
    gap_s: tuple[float, float] = attrs.field(default=(0.05, 0.3), validator=v.rising(0, 60))
    """Silence between two, in seconds, drawn uniformly from this range."""
    same: str | None = "speaker"
    """Only utterances that agree in this column are joined; "" joins any."""

    def __attrs_post_init__(self) -> None:
        least, most = self.min_utterances, self.max_utterances
        if least > most:
            raise v.KeyProblem("min_utterances", f"must not be above max_utterances = {most}, got {least}")

    def build(self) -> Joining:
        """The options without their bounds."""
        from asr_lab.data.utterance import Joining

        return Joining(self.max_utterances, self.min_utterances, self.max_s, self.gap_s, self.same)


def folder_of(root: Path, path: str) -> Path:
    """The folder that a path names; DataError where there is none."""
    folder = real_path(root / path)
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; relative paths are under ASRLAB_DATA (now {real_path(root)})")
    return folder


@section
class Dataset(Slot):
    """Utterances with transcripts."""

    name: str = attrs.field(default="", validator=v.max_len(100))
    """A label for tables; sets of one name are scored as one."""
    weight: float = attrs.field(default=1.0, validator=v.between(1e-6, 1000))
    """How often an epoch passes over this set: 2 = twice, 0.5 = a drawn half."""
    where: dict[str, Any] = attrs.field(factory=dict)
    """Keep only utterances that fit: `min_s`, `max_s`, or a column with a value, a list of values, or a pattern with
    `*` and `?`; a leading "!" negates."""
    join: Join | None = None
    """Concatenate short utterances."""

    def read(self, root: Path) -> Source:
        """The utterances, unfiltered; `root` is where relative data paths start. DataError when absent."""
        raise NotImplementedError

    def places(self, root: Path) -> tuple[Path, ...]:
        """Folders and files that every machine must see to read it; none where nothing needs to be there."""
        return ()

    @property
    def is_made(self) -> bool:
        """Whether its audio is made when it is read, which takes long the first time."""
        return False

    @property
    def label(self) -> str:
        """What tables call it: its name, or else its type."""
        return self.name or self.tag()

    def build(self, root: Path) -> DataSource:
        """The set as the data layer takes it; nothing is read yet."""
        from asr_lab.data.utterance import DataSource

        join = None if self.join is None else self.join.build()
        return DataSource(self.label, functools.partial(self.read, root), self.weight, self.where, join, repr(self))
