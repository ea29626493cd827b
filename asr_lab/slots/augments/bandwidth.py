"""Bandwidth loss: speech as recordings of a lower rate have it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.augments import Augment

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


def _no_rate(rates: tuple[int, ...]) -> str | None:
    odd = [rate for rate in rates if not 1_000 <= rate <= 48_000]
    return f"must be rates of 1,000 to 48,000 Hz, got {odd[0]}" if odd else None


@section
class Bandwidth(Augment):
    """Speech loses what lies above half of a drawn rate, as over a telephone."""

    sample_rates: tuple[int, ...] = attrs.field(
        default=(8_000,), validator=v.all_of(v.min_len(1), v.checked_by(_no_rate))
    )
    """Rates to draw from, in Hz; one at or above the features' own changes nothing."""
    probability: float = attrs.field(default=0.5, validator=v.all_of(v.ge(0), v.le(1)))
    """Share of utterances that are narrowed."""

    @property
    def idle(self) -> dict[str, str]:
        return {} if self.probability else {"probability": "0 narrows nothing"}

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation.codec import BandwidthLoss

        return BandwidthLoss(self.sample_rates, self.probability)
