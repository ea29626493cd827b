"""Mamba-2: unbounded past at a constant cost per frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.blocks import Mixer

if TYPE_CHECKING:
    from asr_lab.nn.mamba2 import Mamba2 as Mamba2Layer


@section
class Mamba2(Mixer):
    """A selective state-space layer: causal, its state never grows."""

    state_dim: int = attrs.field(default=64, validator=v.between(1, 65_536))
    """Numbers remembered per inner channel, N."""
    head_dim: int = attrs.field(default=64, validator=v.between(1, 65_536))
    """Inner channels that share a decay, P."""
    expand: int = attrs.field(default=2, validator=v.between(1, 64))
    """Inner channels per channel of the stack."""
    conv_width: int = attrs.field(default=4, validator=v.between(1, 1024))
    """Frames under the causal convolution before the recurrence."""

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        if (self.expand * dim) % self.head_dim:
            return [("head_dim", f"must divide expand * encoder.dim = {self.expand * dim}, got {self.head_dim}")]
        return []

    def build(self, dim: int, dropout: float) -> Mamba2Layer:
        from asr_lab.nn.mamba2 import Mamba2 as Mamba2Layer

        return Mamba2Layer(dim, self.state_dim, self.head_dim, self.expand, self.conv_width, dropout)
