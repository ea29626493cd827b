"""Data parallelism: every process has the whole model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots.parallel import Parallel

if TYPE_CHECKING:
    import torch

    from asr_lab.training.parallel.group import Group
    from asr_lab.training.parallel.strategy import Strategy


@section
class DDP(Parallel):
    """Every process has the whole model; gradients are added up while they are computed."""

    ordered: bool = False
    """Add gradients in the order of ranks: at `bitwise`, the bits of one process for more than two as well.

    Each process then gets all the others' gradients: as many times the traffic as there are processes.
    """
    checkpoint_activations: bool = False
    """Keep each layer's input alone and compute the rest again on the way back: less memory, a third more work."""
    timeout_s: float = attrs.field(default=600.0, validator=v.between(1, 1e6))
    """Seconds after which a process that waits for others ends the run, with their ranks and what it waited for."""

    @property
    def patience_s(self) -> float | None:
        return self.timeout_s

    def build(self, group: Group, device: torch.device, *, bitwise: bool) -> Strategy:
        if group.world.size == 1:
            from asr_lab.training.parallel.strategy import Strategy

            return Strategy(group, bitwise=bitwise, checkpoint_activations=self.checkpoint_activations)
        from asr_lab.training.parallel.ddp import DataParallel

        return DataParallel(
            group, bitwise=bitwise, checkpoint_activations=self.checkpoint_activations, ordered=self.ordered
        )
