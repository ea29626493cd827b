"""Slot `[precision]`: the number formats of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import Slot

if TYPE_CHECKING:
    from asr_lab.training.precision import PrecisionManager


class Precision(Slot):
    """Which formats the matrix products and the weights use."""

    def build(self) -> PrecisionManager:
        """What the loop asks for: an autocast region and a gradient scaler."""
        raise NotImplementedError
