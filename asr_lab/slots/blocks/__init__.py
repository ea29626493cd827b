"""Slots of the stack: `encoder.block.<name>`, and the mixer inside a block."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from asr_lab.config.section import Slot
from asr_lab.slots import NeedsWhole

if TYPE_CHECKING:
    from asr_lab.streaming import Streamable


class Block(Slot):
    """One layer of the encoder's stack, (B, T, D) to (B, T * ratio, D)."""

    @property
    def ratio(self) -> Fraction:
        """Frames out per frame in."""
        return Fraction(1)

    def whole_because(self) -> NeedsWhole | None:
        """Why this block needs the whole utterance in every context; None when it streams."""
        return None

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        """What does not fit the stack's dimension: (key path below this table, message)."""
        return []

    def num_parameters(self, dim: int) -> int:
        """Parameters of the layer, known without building it; 0 where a choice of your own does not say."""
        return 0

    def build(self, dim: int, dropout: float) -> Streamable[Any]:
        """The layer, (B, T, dim) to (B, T * ratio, dim)."""
        raise NotImplementedError


class Mixer(Slot):
    """What moves information between frames inside a block, (B, T, D) to (B, T, D)."""

    def whole_because(self) -> NeedsWhole | None:
        """Why this mixer needs the whole utterance in every context; None when it streams."""
        return None

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        """What does not fit the stack's dimension: (key path below this table, message)."""
        return []

    def num_parameters(self, dim: int) -> int:
        """Parameters of the layer, known without building it; 0 where a choice of your own does not say."""
        return 0

    def build(self, dim: int, dropout: float) -> Streamable[Any]:
        """The layer, (B, T, dim) to (B, T, dim)."""
        raise NotImplementedError
