"""Data parallelism: every process has the whole model, and gradients are added up while they are computed."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import GradBucket
from torch.nn.parallel import DistributedDataParallel

from asr_lab.models.model import SpeechModel
from asr_lab.training.parallel.group import Group
from asr_lab.training.parallel.several import Several


class DataParallel(Several):
    """torch's DistributedDataParallel, with sums in the place of means: a loss is divided by the step's tokens already.

    With `ordered`, every process gathers all gradients of a bucket and adds them in the order of ranks: the bits of
    one process with as many microbatches as there are ranks, for world times the traffic. Two terms have one order.
    """

    name = "ddp"

    def __init__(
        self, group: Group, *, bitwise: bool = False, checkpoint_activations: bool = False, ordered: bool = False
    ) -> None:
        super().__init__(group, bitwise=bitwise, checkpoint_activations=checkpoint_activations)
        self.ordered = ordered and group.world.size > 2

    def wrap(self, model: SpeechModel) -> None:
        self._forget_activations(model)
        device = next(model.parameters()).device
        with warnings.catch_warnings():
            # What follows it, forward_sync_buffers, is not there before torch 2.14. No buffer of a model changes.
            warnings.simplefilter("ignore", FutureWarning)
            wrapped = DistributedDataParallel(
                model,
                device_ids=[device] if device.type == "cuda" else None,
                broadcast_buffers=False,
                gradient_as_bucket_view=True,
            )
        hook = _ordered_sum if self.ordered else _sum
        # torch wants the bucket's class itself as annotation, or none.
        wrapped.register_comm_hook(self.group.world.size, lambda world, bucket: hook(world, bucket))
        self._module = wrapped

    @contextlib.contextmanager
    def microbatch(self, is_last: bool, what: str) -> Iterator[None]:
        assert isinstance(self._module, DistributedDataParallel)
        with self.group.collective(what), contextlib.nullcontext() if is_last else self._module.no_sync():
            yield


def _sum(world: int, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    future: torch.futures.Future[list[Tensor]] = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return future.then(lambda done: done.value()[0])


def _ordered_sum(world: int, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    own = bucket.buffer()
    parts = [torch.empty_like(own) for _ in range(world)]
    future = dist.all_gather(parts, own, async_op=True).get_future()

    def add(done: Any) -> Tensor:
        done.value()
        own.copy_(parts[0])
        for part in parts[1:]:
            own.add_(part)
        return own

    return future.then(add)
