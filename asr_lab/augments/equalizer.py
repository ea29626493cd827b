"""A random channel: microphones, rooms and telephones favour some frequencies."""

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
class Equalizer(Augment):
    """A drawn smooth gain over frequency, so that a model does not learn the training recordings' microphones.

    The linear kind of FilterAugment (arXiv 2110.03282), on the waveform.
    """

    probability: float = attrs.field(default=1.0, validator=[v.ge(0), v.le(1)])
    """Share of utterances that are filtered."""
    num_points: int = attrs.field(default=6, validator=v.ge(2))
    """Points, evenly spaced in mels from 0 Hz to the highest frequency, at which a gain is drawn; lines in between."""
    max_gain_db: float = attrs.field(default=6.0, validator=v.gt(0))
    """Gains are drawn uniformly from minus this to this, in decibels."""

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.channel import RandomResponse

        return RandomResponse(self.probability, self.num_points, self.max_gain_db)
