"""One process, one device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.parallel import Parallel

if TYPE_CHECKING:
    import torch

    from asr_lab.training.parallel.group import Group
    from asr_lab.training.parallel.strategy import Strategy


@section
class Single(Parallel):
    """One process trains the model."""

    def build(self, group: Group, device: torch.device, *, bitwise: bool) -> Strategy:
        from asr_lab.training.parallel.strategy import Strategy

        return Strategy(group, bitwise=bitwise)
