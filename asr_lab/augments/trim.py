"""Recordings cut closer to the speech than they were."""

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
class Trim(Augment):
    """A little is cut from either end of each recording, before it is joined to others.

    Where one speaker's recordings begin and end may else be all that tells him from the next: a fricative that is
    missing, a burst of breath.
    """

    max_ms: float = attrs.field(default=50.0, validator=v.gt(0))
    """Cut from an end, drawn uniformly from 0 to this, and at most a quarter of the recording."""

    def build(self, root: Path = Path()) -> Augmentation:
        from asr_lab.audio.augmentation import Trimming

        return Trimming(self.max_ms / 1000)
