"""Time warping: one part of an utterance becomes slower and the other faster."""

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
class TimeWarp(Augment):
    """A point of each utterance moves in time, its ends stay: the warp of SpecAugment (arXiv 1904.08779).

    The point is drawn from the middle half. Tempo changes and pitch stays, other than with speed perturbation.
    """

    max_share: float = attrs.field(default=0.1, validator=[v.gt(0), v.le(0.2)])
    """How far it may move, as a share of the utterance."""

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.time_warp import TimeWarping

        return TimeWarping(self.max_share)
