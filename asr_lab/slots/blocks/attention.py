"""Self-attention within a chunk and a bounded past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.blocks import Mixer
from asr_lab.slots.parameters import linear

if TYPE_CHECKING:
    from asr_lab.nn.attention import Attention as AttentionLayer


@section
class Attention(Mixer):
    """Multi-head self-attention: sees its chunk and the context's left frames."""

    num_heads: int = attrs.field(default=4, validator=v.between(1, 4096))
    """Heads; they divide the stack's dimension."""
    position: Literal["relative", "rotary", "none"] = "relative"
    """How distance enters: a learned score per distance (Transformer-XL), rotations (RoFormer), or not at all."""

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        if dim % self.num_heads:
            near = min((h for h in range(1, dim + 1) if dim % h == 0), key=lambda h: abs(h - self.num_heads))
            return [
                ("num_heads", f"must divide encoder.dim {dim}, got {self.num_heads}; the nearest that does is {near}")
            ]
        if self.position == "rotary" and (dim // self.num_heads) % 2:
            return [("position", f"rotary needs an even number of values per head, got {dim // self.num_heads}")]
        if self.position == "relative" and dim % 2:
            return [("position", f"relative needs an even encoder.dim, got {dim}")]
        return []

    def num_parameters(self, dim: int) -> int:
        by_distance = linear(dim, dim, bias=False) + dim if self.position == "relative" else 0
        return linear(dim, 3 * dim) + linear(dim, dim) + by_distance

    def build(self, dim: int, dropout: float) -> AttentionLayer:
        from asr_lab.nn.attention import Attention as AttentionLayer

        return AttentionLayer(dim, self.num_heads, self.position, dropout)
