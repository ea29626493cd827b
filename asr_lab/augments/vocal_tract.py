"""Longer and shorter vocal tracts: formants move, pitch and tempo stay."""

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
class VocalTract(Augment):
    """Vocal tract length perturbation (Jaitly and Hinton, ICML workshop 2013), on the axis of mel bins.

    What few speakers sound like, many do then. Speed perturbation moves formants too, but tempo and pitch with them.
    """

    max_warp: float = attrs.field(default=0.1, validator=[v.gt(0), v.le(0.5)])
    """Bins move by a factor drawn uniformly from 1 minus this to 1 plus this."""

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.vocal_tract import VocalTractPerturbation

        return VocalTractPerturbation(self.max_warp)
