"""Strided convolutions with channels kept apart: four or eight frames become one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.parameters import linear
from asr_lab.slots.stems import Stem

if TYPE_CHECKING:
    from asr_lab.nn.stems import DepthwiseStride as DepthwiseStrideLayer


@section
class DepthwiseStride(Stem):
    """Fast Conformer's subsampling (arXiv 2305.05084): depthwise-separable convolutions over frames and mels."""

    factor: Literal[4, 8] = 8
    """Feature frames per frame of the stack."""
    channels: int = attrs.field(default=256, validator=v.between(1, 65_536))
    """Channels of the convolutions."""
    causal: bool = True
    """Whether a frame sees only frames up to its own first; else it sees one more at each stage, inside its hop."""

    @property
    def stride(self) -> int:
        return self.factor

    def num_parameters(self, num_features: int, dim: int) -> int:
        stages = self.factor.bit_length() - 2
        stage = 9 * self.channels + linear(self.channels, self.channels)
        out = linear(self.channels * math.ceil(num_features / self.factor), dim)
        return linear(9, self.channels) + stages * stage + out

    def build(self, num_features: int, dim: int) -> DepthwiseStrideLayer:
        from asr_lab.nn.stems import DepthwiseStride as DepthwiseStrideLayer

        return DepthwiseStrideLayer(num_features, dim, self.factor, self.channels, self.causal)
