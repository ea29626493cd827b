"""Data parallelism: every process has the whole model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.parallel import SeveralProcesses

if TYPE_CHECKING:
    import torch

    from asr_lab.training.parallel.group import Group
    from asr_lab.training.parallel.strategy import Strategy


@section
class DDP(SeveralProcesses):
    """Every process has the whole model; gradients are added up while they are computed."""

    ordered: bool = False
    """Add gradients in the order of ranks: at `bitwise`, the bits of one process for more than two as well.

    Each process then gets all the others' gradients: as many times the traffic as there are processes.
    """

    def adds_in_order(self, processes: int) -> bool:
        return processes <= 2 or self.ordered

    def build_several(self, group: Group, device: torch.device, *, bitwise: bool) -> Strategy:
        from asr_lab.training.parallel.ddp import DataParallel

        return DataParallel(
            group, bitwise=bitwise, checkpoint_activations=self.checkpoint_activations, ordered=self.ordered
        )
