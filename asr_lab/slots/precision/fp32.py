"""32-bit floats everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.precision import Precision

if TYPE_CHECKING:
    from asr_lab.training.precision import PrecisionManager


@section
class FP32(Precision):
    """32-bit floats everywhere."""

    def build(self) -> PrecisionManager:
        from asr_lab.training.precision import get_precision_manager

        return get_precision_manager("fp32")
