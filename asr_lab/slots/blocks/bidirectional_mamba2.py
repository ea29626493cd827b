"""Mamba-2 in both directions: for whole utterances only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots import NeedsWhole
from asr_lab.slots.blocks import Mixer
from asr_lab.slots.parameters import linear

if TYPE_CHECKING:
    from asr_lab.nn.mamba2 import BidirectionalMamba2 as BidirectionalMamba2Layer


@section
class BidirectionalMamba2(Mixer):
    """Two Mamba-2 mixers, one from each end of the utterance, summed; twice the cost of one, and it cannot stream."""

    state_dim: int = attrs.field(default=64, validator=v.between(1, 4096))
    """Numbers remembered per inner channel and direction, N."""
    head_dim: int = attrs.field(default=64, validator=v.between(1, 4096))
    """Inner channels that share a decay, P."""
    expand: int = attrs.field(default=2, validator=v.between(1, 64))
    """Inner channels per channel of the stack, in each direction."""
    conv_width: int = attrs.field(default=4, validator=v.between(1, 1024))
    """Frames under the convolution before the recurrence: towards the past, or in the reversed scan the future."""

    def whole_because(self) -> NeedsWhole | None:
        return NeedsWhole(
            "type",
            'mixer.type = "bidirectional_mamba2" scans backwards too, from the last frame of the utterance; '
            '"mamba2" streams',
        )

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        if (self.expand * dim) % self.head_dim:
            return [("head_dim", f"must divide expand * encoder.dim = {self.expand * dim}, got {self.head_dim}")]
        return []

    def num_parameters(self, dim: int) -> int:
        inner, heads = self.expand * dim, self.expand * dim // self.head_dim
        convolved = inner + 2 * self.state_dim
        projected = linear(dim, inner + convolved + heads, bias=False) + linear(inner, dim, bias=False)
        return 2 * (projected + linear(self.conv_width, convolved) + 3 * heads + inner)

    def build(self, dim: int, dropout: float) -> BidirectionalMamba2Layer:
        from asr_lab.nn.mamba2 import BidirectionalMamba2 as BidirectionalMamba2Layer

        return BidirectionalMamba2Layer(dim, self.state_dim, self.head_dim, self.expand, self.conv_width, dropout)
