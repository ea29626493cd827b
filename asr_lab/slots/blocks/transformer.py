"""A pre-norm transformer's block around any mixer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots import NeedsWhole
from asr_lab.slots.blocks import Block, Mixer
from asr_lab.slots.parameters import feed_forward, norm

if TYPE_CHECKING:
    from asr_lab.nn.blocks import Transformer as TransformerLayer


@section
class Transformer(Block):
    """A mixer, then a feed-forward, as in Whisper's encoder; a `norm` block ends such a stack."""

    mixer: Mixer
    """What moves information between frames."""
    expansion: int = attrs.field(default=4, validator=v.between(1, 64))
    """Hidden values of the feed-forward per value of the stack."""

    def whole_because(self) -> NeedsWhole | None:
        why = self.mixer.whole_because()
        return None if why is None else why._replace(key=f"mixer.{why.key}")

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        return [(f"mixer.{key}", message) for key, message in self.mixer.dim_problems(dim)]

    def num_parameters(self, dim: int) -> int:
        return self.mixer.num_parameters(dim) + feed_forward(dim, self.expansion * dim) + 2 * norm(dim)

    def build(self, dim: int, dropout: float) -> TransformerLayer:
        from asr_lab.nn.blocks import Transformer as TransformerLayer

        return TransformerLayer(dim, self.mixer.build(dim, dropout), self.expansion * dim, dropout)
