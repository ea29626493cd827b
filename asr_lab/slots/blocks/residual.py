"""A mixer alone, added to what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots import NeedsWhole
from asr_lab.slots.blocks import Block, Mixer
from asr_lab.slots.parameters import norm

if TYPE_CHECKING:
    from asr_lab.nn.blocks import Residual as ResidualLayer


@section
class Residual(Block):
    """A pre-norm mixer and nothing else, as in a plain Mamba stack; a `norm` block ends such a stack."""

    mixer: Mixer
    """What moves information between frames."""

    def whole_because(self) -> NeedsWhole | None:
        why = self.mixer.whole_because()
        return None if why is None else why._replace(key=f"mixer.{why.key}")

    def dim_problems(self, dim: int) -> list[tuple[str, str]]:
        return [(f"mixer.{key}", message) for key, message in self.mixer.dim_problems(dim)]

    def num_parameters(self, dim: int) -> int:
        return self.mixer.num_parameters(dim) + norm(dim)

    def build(self, dim: int, dropout: float) -> ResidualLayer:
        from asr_lab.nn.blocks import Residual as ResidualLayer

        return ResidualLayer(dim, self.mixer.build(dim, dropout))
