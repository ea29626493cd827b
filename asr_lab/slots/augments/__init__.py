"""Slot `[[augment]]`: what is done to training audio and features, keyed by seed, epoch and utterance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.config.section import Slot

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


class Augment(Slot):
    """A random change to training input; validation and test never see it."""

    @property
    def idle(self) -> dict[str, str]:
        """The keys at which it, or a part of it, changes nothing, and why; `""` is the whole table."""
        return {}

    @property
    def inexact_because(self) -> str | None:
        """Why what it makes may differ between machines in its last bit; None where it works with torch on features."""
        return "it changes waveforms with NumPy and SciPy, whose sums depend on the processor"

    def build(self, root: Path = Path()) -> Augmentation:
        """The augmentation, which acts on the waveform in a worker or on the features beside the model.

        `root` is where relative data paths start.
        """
        raise NotImplementedError
