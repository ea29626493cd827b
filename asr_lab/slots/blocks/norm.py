"""A LayerNorm at the end of a pre-norm stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.blocks import Block
from asr_lab.slots.parameters import norm

if TYPE_CHECKING:
    from asr_lab.nn.blocks import Norm as NormLayer


@section
class Norm(Block):
    """LayerNorm: ends a stack of `transformer` or `residual` blocks, whose stream is not normalised."""

    def num_parameters(self, dim: int) -> int:
        return norm(dim)

    def build(self, dim: int, dropout: float) -> NormLayer:
        from asr_lab.nn.blocks import Norm as NormLayer

        return NormLayer(dim)
