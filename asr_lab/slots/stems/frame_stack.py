"""Neighbouring frames side by side: the plainest way to a lower rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.parameters import linear, norm
from asr_lab.slots.stems import Stem

if TYPE_CHECKING:
    from asr_lab.nn.stems import FrameStack as FrameStackLayer


@section
class FrameStack(Stem):
    """`factor` frames side by side through one linear layer; no frame is seen twice."""

    factor: int = attrs.field(default=4, validator=v.all_of(v.ge(1), v.le(16)))
    """Feature frames per frame of the stack."""
    norm: Literal["layer", "none"] = "layer"
    """LayerNorm behind the linear layer, or none."""

    @property
    def stride(self) -> int:
        return self.factor

    def num_parameters(self, num_features: int, dim: int) -> int:
        return linear(self.factor * num_features, dim) + (norm(dim) if self.norm == "layer" else 0)

    def build(self, num_features: int, dim: int) -> FrameStackLayer:
        from asr_lab.nn.stems import FrameStack as FrameStackLayer

        return FrameStackLayer(num_features, dim, self.factor, self.norm == "layer")
