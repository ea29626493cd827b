"""Slot `encoder.stem`: from features to the stack's dimension and frame rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asr_lab.config.section import Slot
from asr_lab.slots import NeedsWhole

if TYPE_CHECKING:
    from asr_lab.streaming import Streamable


class Stem(Slot):
    """The encoder's first layers, which lower the frame rate."""

    @property
    def stride(self) -> int:  # type: ignore[empty-body]
        """Feature frames per frame of the stack: 2, 4, 8."""

    def whole_because(self) -> NeedsWhole | None:
        """Why this stem needs the whole utterance; None when it streams."""
        return None

    def num_parameters(self, num_features: int, dim: int) -> int:
        """Parameters of the layer, known without building it; 0 where a choice of your own does not say."""
        return 0

    def build(self, num_features: int, dim: int) -> Streamable[Any]:
        """The layer from (B, T, num_features) to (B, T / stride, dim)."""
        raise NotImplementedError
