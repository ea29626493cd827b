"""Slot `[[augment]]`: what is done to training audio and features, keyed by seed, epoch and utterance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.audio.speeds import FASTEST, SLOWEST
from asr_lab.config.section import Slot

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


def unintelligible(factors: tuple[float, ...]) -> str | None:
    """What is wrong with factors by which speech is made faster; None where nothing is."""
    extreme = [f for f in factors if not SLOWEST <= f <= FASTEST]
    return f"must be between {SLOWEST:g} and {FASTEST}, got {extreme[0]}" if extreme else None


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

    @property
    def fastest(self) -> float:
        """How many times shorter it makes an utterance at most."""
        return 1.0

    def build(self, root: Path = Path()) -> Augmentation:
        """The augmentation, which acts on the waveform in a worker or on the features beside the model.

        `root` is where relative data paths start.
        """
        raise NotImplementedError
