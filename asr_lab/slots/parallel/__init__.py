"""Slot `[parallel]`: how many processes train one model."""

from __future__ import annotations

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import Slot, section


@section
class Parallel(Slot):
    """How the work of one step is shared."""

    max_rank_batch_s: float | None = attrs.field(default=None, validator=v.optional(v.above(0, 1e7)))
    """Padded seconds of audio that one process takes at once; accumulation follows from `train.batch_s`."""
