"""Volume perturbation: a drawn gain."""

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
class Volume(Augment):
    """Each utterance gets a gain of its own."""

    gain_db: tuple[float, float] = attrs.field(default=(-6.0, 6.0), validator=v.rising(-60, 60))
    """Least and greatest gain, in decibels; drawn uniformly."""

    @property
    def idle(self) -> dict[str, str]:
        return {"gain_db": "0 dB changes no volume"} if self.gain_db == (0, 0) else {}

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation.volume import VolumePerturbation

        return VolumePerturbation(self.gain_db)
