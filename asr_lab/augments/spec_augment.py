"""SpecAugment: bands and stretches of the features are hidden."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import validators as v

from asr_lab.augments import Augment
from asr_lab.config.section import section

if TYPE_CHECKING:
    from asr_lab.audio.augmentation import Augmentation


@section
class SpecAugment(Augment):
    """Frequency bands and stretches of time become the utterance's mean (arXiv 1904.08779, 1912.05533)."""

    num_freq_masks: int = attrs.field(default=2, validator=v.ge(0))
    """Bands hidden in each utterance."""
    max_freq_bins: int = attrs.field(default=27, validator=v.ge(0))
    """Widest band, in mels; widths are drawn uniformly from 0 to it."""
    num_time_masks: int = attrs.field(default=10, validator=v.ge(0))
    """Stretches hidden in each utterance."""
    max_time_share: float = attrs.field(default=0.05, validator=[v.ge(0), v.le(1)])
    """Longest stretch, as a share of the utterance."""

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation import SpecMasks

        return SpecMasks(self.num_freq_masks, self.max_freq_bins, self.num_time_masks, self.max_time_share)
