"""Speed perturbation: speech played faster or slower."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import validators as v

from asr_lab.config.section import section
from asr_lab.slots.augments import Augment

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


def audible(_: Any, attribute: Any, value: tuple[float, ...]) -> None:
    """ValueError for speeds at which speech is not understood; a validator."""
    for factor in value:
        if not 0.5 <= factor <= 2.0:
            raise ValueError(f"'{attribute.name}' must be between 0.5 and 2, got {factor}")


@section
class Speed(Augment):
    """Each utterance is played at a drawn speed, which moves its pitch too (Ko et al., Interspeech 2015)."""

    factors: tuple[float, ...] = attrs.field(default=(0.9, 1.0, 1.1), validator=[v.min_len(1), audible])
    """Speeds to draw from; 1.1 is a tenth faster. Two decimals at most."""

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation.speed import SpeedPerturbation

        return SpeedPerturbation(self.factors)
