"""32-bit floats everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import added, section
from asr_lab.slots.precision import Precision

if TYPE_CHECKING:
    from asr_lab.training.precision import PrecisionManager


@section
class FP32(Precision):
    """32-bit floats everywhere."""

    tf32: bool = added(default=False)
    """Let GPUs multiply with 10 bits of mantissa (TensorFloat-32), which is several times as fast on an A100."""

    def build(self) -> PrecisionManager:
        from asr_lab.training.precision import get_precision_manager

        return get_precision_manager("fp32", allow_tf32=self.tf32)
