"""Additive noise, made on the spot or recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.augments import Augment

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


@section
class Noise(Augment):
    """Noise of a drawn colour, or a stretch of a noise recording, at a drawn level below the speech."""

    probability: float = attrs.field(default=0.5, validator=v.all_of(v.ge(0), v.le(1)))
    """Share of utterances that get noise."""
    snr_db: tuple[float, float] = attrs.field(default=(10.0, 30.0), validator=v.rising(-60, 120))
    """Least and greatest signal-to-noise ratio, in decibels; drawn uniformly."""
    colour: tuple[float, float] = attrs.field(default=(0.0, 2.0), validator=v.rising(0, 4))
    """Power falls as 1 / f^colour: 0 white, 1 pink, 2 brown; drawn uniformly. Not used with `recordings`."""
    recordings: str | None = None
    """A folder of noise recordings, searched with its subfolders; relative ones are under ASRLAB_DATA."""

    @property
    def idle(self) -> dict[str, str]:
        found = {} if self.probability else {"probability": "0 adds no noise"}
        if self.recordings is not None and self.colour != (0.0, 2.0):
            found["colour"] = "is not used with recordings"
        return found

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation.noise import AdditiveNoise

        folder = None if self.recordings is None else root / self.recordings
        return AdditiveNoise(self.snr_db, self.probability, self.colour, folder)
