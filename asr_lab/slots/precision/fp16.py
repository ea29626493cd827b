"""float16 matrix products under autocast, with loss scaling."""

from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.slots.precision import Precision


@section
class FP16(Precision):
    """float16 matrix products under autocast, with loss scaling."""
