"""Absolute positions at the bottom of a stack, as Whisper has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.blocks import Block

if TYPE_CHECKING:
    from asr_lab.nn.positions import Sinusoidal as SinusoidalLayer


@section
class Sinusoidal(Block):
    """Adds sinusoids of each frame's number in its utterance; there is no longest utterance."""

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        return [("type", f"sinusoidal needs an even encoder.dim, got {dim}")] if dim % 2 else []

    def build(self, dim: int, dropout: float) -> SinusoidalLayer:
        from asr_lab.nn.positions import Sinusoidal as SinusoidalLayer

        return SinusoidalLayer()
