"""Speed perturbation: speech played faster or slower."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.augments import Augment, unintelligible

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


@section
class Speed(Augment):
    """Each utterance is played at a drawn speed, which moves its pitch too (Ko et al., Interspeech 2015)."""

    factors: tuple[float, ...] = attrs.field(
        default=(0.9, 1.0, 1.1), validator=v.all_of(v.min_len(1), v.checked_by(unintelligible))
    )
    """Speeds to draw from; 1.1 is a tenth faster. Two decimals at most."""

    @property
    def idle(self) -> dict[str, str]:
        return {"factors": "1.0 alone changes no speed"} if set(self.factors) == {1.0} else {}

    @property
    def fastest(self) -> float:
        return max(self.factors)

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation.speed import SpeedPerturbation

        return SpeedPerturbation(self.factors)
