"""Fully sharded data parallelism: every process keeps a part of each weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.errors import LabError
from asr_lab.slots.parallel import SeveralProcesses

if TYPE_CHECKING:
    import torch

    from asr_lab.training.parallel.group import Group
    from asr_lab.training.parallel.strategy import Strategy


@section
class FSDP(SeveralProcesses):
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
    offload: bool = False
    """Keep shards in the machine's memory and the optimizer on its processors; GPUs alone."""

    def adds_in_order(self, processes: int) -> bool:
        return processes == 1 or (processes == 2 and (self.shards, self.gather, self.reduce) == (None, "fp32", "fp32"))

    def build(self, group: Group, device: torch.device, *, bitwise: bool) -> Strategy:
        if self.offload and device.type == "cpu":
            raise LabError("parallel.offload: the weights are in the machine's memory already; it needs a GPU")
        return super().build(group, device, bitwise=bitwise)

    def build_several(self, group: Group, device: torch.device, *, bitwise: bool) -> Strategy:
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
