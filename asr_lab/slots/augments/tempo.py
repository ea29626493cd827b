"""Tempo perturbation: faster or slower speech at the same pitch."""

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
class Tempo(Augment):
    """Each utterance is spoken at a drawn tempo; its pitch stays (WSOLA, Verhelst and Roelands, ICASSP 1993)."""

    factors: tuple[float, ...] = attrs.field(
        default=(0.9, 1.0, 1.1), validator=v.all_of(v.min_len(1), v.checked_by(unintelligible))
    )
    """Tempos to draw from; 1.1 is a tenth faster."""

    @property
    def idle(self) -> dict[str, str]:
        return {"factors": "1.0 alone changes no tempo"} if set(self.factors) == {1.0} else {}

    @property
    def fastest(self) -> float:
        return max(self.factors)

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation.tempo import TempoPerturbation

        return TempoPerturbation(self.factors)
