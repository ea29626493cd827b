"""Convolutions and pooling over frames and bands: four or eight frames become one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
from attrs import validators as v

from asr_lab.config.section import section
from asr_lab.stems import Stem

if TYPE_CHECKING:
    from asr_lab.nn.vgg import VGGStem


@section
class VGG(Stem):
    """A small VGG network (arXiv 1409.1556) that pools over all bands: what it hears may lie higher or lower."""

    factor: Literal[4, 8] = 8
    """Feature frames per frame of the stack."""
    channels: int = attrs.field(default=16, validator=v.ge(1))
    """Channels of the first convolution; two have twice, two four times as many."""
    causal: bool = True
    """Whether kernels end at the present frame; centred ones see 14 (factor 4) or 18 feature frames to the right."""

    @property
    def stride(self) -> int:
        return self.factor

    def build(self, num_features: int, dim: int) -> VGGStem:
        from asr_lab.nn.vgg import VGGStem

        return VGGStem(num_features, dim, self.factor, self.channels, self.causal)
