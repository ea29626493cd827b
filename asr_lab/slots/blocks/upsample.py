"""More frames again, for decoders or layers that need a higher rate than those below them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.blocks import Block
from asr_lab.slots.parameters import linear

if TYPE_CHECKING:
    from asr_lab.nn.blocks import Upsample as UpsampleLayer


@section
class Upsample(Block):
    """Each frame becomes `factor` frames: itself, plus what a linear layer makes of it for each place.

    Layers below run at the stem's rate and cost little; CTC above it has frames enough for characters.
    """

    factor: int = attrs.field(default=2, validator=v.all_of(v.ge(2), v.le(8)))
    """Frames made of one."""

    @property
    def ratio(self) -> Fraction:
        return Fraction(self.factor)

    def num_parameters(self, dim: int) -> int:
        return linear(dim, self.factor * dim)

    def build(self, dim: int, dropout: float) -> UpsampleLayer:
        from asr_lab.nn.blocks import Upsample as UpsampleLayer

        return UpsampleLayer(dim, self.factor)
