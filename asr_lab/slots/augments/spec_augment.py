"""SpecAugment: time is warped, bands and stretches of the features are masked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import added, section
from asr_lab.slots.augments import Augment

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


@section
class SpecAugment(Augment):
    """Time warping, then frequency and time masks of the utterance's mean (arXiv 1904.08779, 1912.05533)."""

    num_freq_masks: int = attrs.field(default=2, validator=v.between(0, 1000))
    """Frequency masks per utterance."""
    max_freq_bins: int = attrs.field(default=27, validator=v.between(0, 1024))
    """Widest frequency mask, in mels; widths are drawn uniformly from 0 to it."""
    num_time_masks: int = attrs.field(default=10, validator=v.between(0, 1000))
    """Time masks per utterance."""
    max_time_share: float = attrs.field(default=0.05, validator=v.all_of(v.ge(0), v.le(1)))
    """Longest time mask, as a share of the utterance."""
    max_warp_share: float = added(default=0.0, validator=v.all_of(v.ge(0), v.le(0.2)))
    """How far a point from the middle half of the utterance is moved in time, as a share of it; 0 = no warping."""

    @property
    def idle(self) -> dict[str, str]:
        found = {}
        for number, size, what in (
            ("num_freq_masks", "max_freq_bins", "masks of frequency"),
            ("num_time_masks", "max_time_share", "masks of time"),
        ):
            if getattr(self, number) and not getattr(self, size):
                found[size] = f"0: the {getattr(self, number)} {what} are empty"
        masks = self.num_freq_masks * self.max_freq_bins or self.num_time_masks * self.max_time_share
        return found if masks or self.max_warp_share else {"": "masks and warps nothing"}

    @property
    def inexact_because(self) -> str | None:
        return None

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation import Augmentations
        from asr_lab.audio.augmentation.spec_augment import SpecMasks, TimeWarping

        masks = SpecMasks(self.num_freq_masks, self.max_freq_bins, self.num_time_masks, self.max_time_share)
        return Augmentations([TimeWarping(self.max_warp_share), masks]) if self.max_warp_share else masks
