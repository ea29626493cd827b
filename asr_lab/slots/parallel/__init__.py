"""Slot `[parallel]`: how the processes that train one model share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import Slot, section

if TYPE_CHECKING:
    import torch

    from asr_lab.training.parallel.group import Group
    from asr_lab.training.parallel.strategy import Strategy


@section
class Parallel(Slot):
    """How the work of one step is shared; how many processes there are is the launch's."""

    max_rank_batch_s: float | None = attrs.field(default=None, validator=v.optional(v.above(0, 1e7)))
    """Padded seconds of audio that one process takes at once; accumulation follows from `train.batch_s`."""
    parts: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 65_536)))
    """A step is cut into a multiple of so many microbatches, even ones; default: as many as there are processes.

    One process with `parts = 2` trains as two do, at `bitwise` with the same bits where each takes one a step.
    """

    @property
    def patience_s(self) -> float | None:
        """How long several processes wait for one another; None = there is one."""
        return None

    def adds_in_order(self, processes: int) -> bool:
        """Whether so many, with a microbatch each, add up gradients as one process that takes all of them does."""
        return processes == 1

    def build(self, group: Group, device: torch.device, *, bitwise: bool) -> Strategy:
        """How this process of a group trains; LabError for what its device or the number of processes rules out."""
        raise NotImplementedError


@section
class SeveralProcesses(Parallel):
    """The keys of every choice with several processes."""

    checkpoint_activations: bool = False
    """Keep each layer's input alone and compute the rest again on the way back: less memory, a third more work."""
    timeout_s: float = attrs.field(default=600.0, validator=v.between(1, 1e6))
    """Seconds after which a process that waits for others ends the run, with their ranks and what it waited for."""

    @property
    def patience_s(self) -> float | None:
        return self.timeout_s

    def build(self, group: Group, device: torch.device, *, bitwise: bool) -> Strategy:
        if group.world.size > 1:
            return self.build_several(group, device, bitwise=bitwise)
        from asr_lab.training.parallel.strategy import Strategy

        return Strategy(group, bitwise=bitwise, checkpoint_activations=self.checkpoint_activations)

    def build_several(self, group: Group, device: torch.device, *, bitwise: bool) -> Strategy:
        """How this one of several processes trains."""
        raise NotImplementedError
