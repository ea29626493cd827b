"""Conformer's block around any mixer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import validators as v

from asr_lab.blocks import Block, Mixer
from asr_lab.config.section import section

if TYPE_CHECKING:
    from asr_lab.nn.blocks import Macaron as MacaronLayer


@section
class Convolution:
    """The local part of a macaron block."""

    kernel_frames: int = attrs.field(default=9, validator=v.ge(1))
    """Frames under the kernel, the present one included."""
    causal: bool = True
    """Whether it sees the present and past only; centred, it needs the whole utterance and an odd kernel."""

    def __attrs_post_init__(self) -> None:
        if not self.causal and self.kernel_frames % 2 == 0:
            raise ValueError(f"kernel_frames must be odd where causal = false, got {self.kernel_frames}")


@section
class Macaron(Block):
    """Half a feed-forward, a mixer, a convolution, half a feed-forward, a norm."""

    mixer: Mixer
    """What moves information over long distances."""
    conv: Convolution = Convolution()
    """What moves it between neighbours."""
    expansion: int = attrs.field(default=4, validator=v.ge(1))
    """Hidden values of a feed-forward per value of the stack."""

    def whole_because(self) -> str | None:
        if not self.conv.causal:
            return "its convolution is centred (conv.causal = false) and sees frames to the right of the chunk"
        return self.mixer.whole_because()

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        return [(f"mixer.{key}", message) for key, message in self.mixer.dim_problems(dim)]

    def build(self, dim: int, dropout: float) -> MacaronLayer:
        from asr_lab.nn.blocks import Macaron as MacaronLayer
        from asr_lab.nn.conv import ConvModule

        conv = ConvModule(dim, self.conv.kernel_frames, self.conv.causal, dropout)
        return MacaronLayer(dim, self.mixer.build(dim, dropout), conv, self.expansion * dim, dropout)
