"""Whisper's two convolutions: two frames become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.parameters import linear
from asr_lab.slots.stems import Stem

if TYPE_CHECKING:
    from asr_lab.nn.stems import WhisperConv as WhisperConvLayer


@section
class WhisperConv(Stem):
    """Two convolutions of width 3 with GELU, the second of stride 2 (Radford et al. 2022)."""

    causal: bool = False
    """Whether kernels end at the present frame; Whisper's are centred and see two frames to the right."""

    @property
    def stride(self) -> int:
        return 2

    def num_parameters(self, num_features: int, dim: int) -> int:
        return linear(3 * num_features, dim) + linear(3 * dim, dim)

    def build(self, num_features: int, dim: int) -> WhisperConvLayer:
        from asr_lab.nn.stems import WhisperConv as WhisperConvLayer

        return WhisperConvLayer(num_features, dim, self.causal)
