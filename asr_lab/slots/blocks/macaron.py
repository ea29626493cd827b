"""Conformer's block around any mixer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots import NeedsWhole
from asr_lab.slots.blocks import Block, Mixer
from asr_lab.slots.parameters import feed_forward, linear, norm

if TYPE_CHECKING:
    from asr_lab.nn.blocks import Macaron as MacaronLayer


@section
class Convolution:
    """The local part of a macaron block."""

    kernel_frames: int = attrs.field(default=9, validator=v.between(1, 10_001))
    """Frames under the kernel, the present one included."""
    causal: bool = True
    """Whether it sees the present and past only; else it is centred, with an odd kernel."""
    lookahead: Literal["chunk"] | None = None
    """`"chunk"` = a centred one reads zeros behind the end of its chunk, so that it streams."""

    def __attrs_post_init__(self) -> None:
        if not self.causal and self.kernel_frames % 2 == 0:
            raise v.KeyProblem("kernel_frames", f"must be odd where causal = false, got {self.kernel_frames}")
        if self.causal and self.lookahead is not None:
            raise v.KeyProblem("lookahead", '"chunk" has no effect where causal = true, which sees nothing ahead')

    @property
    def sees(self) -> Literal["past", "chunk", "utterance"]:
        """The furthest that the kernel reads."""
        if self.causal:
            return "past"
        return self.lookahead or "utterance"


@section
class Macaron(Block):
    """Half a feed-forward, a mixer, a convolution, half a feed-forward, a norm."""

    mixer: Mixer
    """What moves information over long distances."""
    conv: Convolution = Convolution()
    """What moves it between neighbours."""
    expansion: int = attrs.field(default=4, validator=v.between(1, 64))
    """Hidden values of a feed-forward per value of the stack."""

    def whole_because(self) -> NeedsWhole | None:
        if self.conv.sees == "utterance":
            return NeedsWhole(
                "conv.causal",
                "its convolution is centred (conv.causal = false) and sees frames to the right of the chunk; "
                'with conv.lookahead = "chunk" it streams',
            )
        why = self.mixer.whole_because()
        return None if why is None else why._replace(key=f"mixer.{why.key}")

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        return [(f"mixer.{key}", message) for key, message in self.mixer.dim_problems(dim)]

    def num_parameters(self, dim: int) -> int:
        around = norm(dim) + linear(dim, 2 * dim) + linear(dim, dim)
        conv = around + linear(self.conv.kernel_frames, dim)
        return self.mixer.num_parameters(dim) + conv + 2 * feed_forward(dim, self.expansion * dim) + 5 * norm(dim)

    def build(self, dim: int, dropout: float) -> MacaronLayer:
        from asr_lab.nn.blocks import Macaron as MacaronLayer
        from asr_lab.nn.conv import ConvModule

        conv = ConvModule(dim, self.conv.kernel_frames, self.conv.sees, dropout)
        return MacaronLayer(dim, self.mixer.build(dim, dropout), conv, self.expansion * dim, dropout)
