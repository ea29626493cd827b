"""bfloat16 matrix products under autocast, weights in 32 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.precision import Precision

if TYPE_CHECKING:
    from asr_lab.training.precision import PrecisionManager


@section
class BF16(Precision):
    """bfloat16 matrix products under autocast, weights in 32 bits."""

    def build(self) -> PrecisionManager:
        from asr_lab.training.precision import get_precision_manager

        return get_precision_manager("bf16")
