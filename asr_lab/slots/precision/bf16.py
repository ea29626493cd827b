"""bfloat16 matrix products under autocast, weights in 32 bits."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.slots.precision import Precision


@section
class BF16(Precision):
    """bfloat16 matrix products under autocast, weights in 32 bits."""
