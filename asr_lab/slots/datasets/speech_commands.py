"""Speech Commands v0.02, as it is unpacked into a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.files import real_path
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source


@section
class SpeechCommands(Dataset):
    """35 English words by thousands of speakers, a second each (Warden, 2018); columns speaker, language, split."""

    splits: tuple[Literal["train", "dev", "test"], ...] = attrs.field(validator=v.min_len(1))
    """Parts to read; dev and test are the published lists, train is the rest."""
    path: str = "speech_commands_v0.02"
    """The folder that holds the words' folders; a relative one is under ASRLAB_DATA."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.rows import absent, fetch, source_of
        from asr_lab.data.sources.speech_commands import speech_commands_rows
        from asr_lab.data.sources.trees import chained

        base = real_path(root / self.path)
        if not base.is_dir():
            raise absent("Speech Commands", [base], root, fetch("speech_commands"))
        return chained([source_of(speech_commands_rows(base, split)) for split in self.splits])
