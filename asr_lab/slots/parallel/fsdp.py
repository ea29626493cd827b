"""Fully sharded data parallelism: every process keeps a part of each weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.errors import LabError
from asr_lab.slots.parallel import Parallel

if TYPE_CHECKING:
    import torch

    from asr_lab.training.parallel.group import Group
    from asr_lab.training.parallel.strategy import Strategy


@section
class FSDP(Parallel):
    """Every process keeps a part of each weight, its gradient and its moments; layers are gathered where they run."""

    shards: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 65_536)))
    """Processes over which weights lie in shards, by default all.

    With fewer, groups of so many hold copies (hybrid sharding): those of one machine, so that weights never cross
    machines and only gradients do.
    """
    reshard: bool = True
    """Let go of a layer's weights between forward and backward, and gather them again: less memory, more traffic."""
    gather: Literal["fp32", "bf16"] = "fp32"
    """Numbers in which weights cross and are used; bf16 halves that traffic and wants `[precision] type = "bf16"`."""
    reduce: Literal["fp32", "bf16"] = "fp32"
    """Numbers in which gradients are added up over processes."""
    checkpoint_activations: bool = False
    """Keep each layer's input alone and compute the rest again on the way back: less memory, a third more work."""
    offload: bool = False
    """Keep shards in the machine's memory and the optimizer on its processors; GPUs alone."""
    timeout_s: float = attrs.field(default=600.0, validator=v.between(1, 1e6))
    """Seconds after which a process that waits for others ends the run, with their ranks and what it waited for."""

    @property
    def patience_s(self) -> float | None:
        return self.timeout_s

    def build(self, group: Group, device: torch.device, *, bitwise: bool) -> Strategy:
        if self.offload and device.type == "cpu":
            raise LabError("parallel.offload: the weights are in the machine's memory already; it needs a GPU")
        if group.world.size == 1:
            from asr_lab.training.parallel.strategy import Strategy

            return Strategy(group, bitwise=bitwise, checkpoint_activations=self.checkpoint_activations)
        import torch

        from asr_lab.training.parallel.fsdp import ShardedParallel

        return ShardedParallel(
            group,
            bitwise=bitwise,
            checkpoint_activations=self.checkpoint_activations,
            shards=self.shards,
            reshard=self.reshard,
            gather=torch.bfloat16 if self.gather == "bf16" else None,
            reduce=torch.bfloat16 if self.reduce == "bf16" else None,
            offload=self.offload,
        )
