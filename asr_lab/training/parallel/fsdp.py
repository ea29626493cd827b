"""Fully sharded data parallelism: every process keeps a part of each weight, its gradient and its moments."""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, Shard

from asr_lab.errors import LabError
from asr_lab.models.model import SpeechModel
from asr_lab.training.parallel.group import Group
from asr_lab.training.parallel.several import Several
from asr_lab.training.parallel.shards import local
from asr_lab.training.parallel.strategy import RunningAverage


class ShardedParallel(Several):
    """torch's `fully_shard` on every layer and decoder; weights are gathered where they are used, and let go.

    With `shards`, weights lie in shards over that many processes, and groups of them are copies of one another (hybrid
    sharding): within a machine, say. `gather` is the type in which weights cross and are used, `reduce` that of
    gradients.
    """

    name = "fsdp"

    def __init__(
        self,
        group: Group,
        *,
        bitwise: bool = False,
        checkpoint_activations: bool = False,
        shards: int | None = None,
        reshard: bool = True,
        gather: torch.dtype | None = None,
        reduce: torch.dtype | None = None,
        offload: bool = False,
    ) -> None:
        super().__init__(group, bitwise=bitwise, checkpoint_activations=checkpoint_activations)
        self.shards = shards or group.world.size
        if group.world.size % self.shards:
            raise LabError(
                f"parallel.shards is {self.shards}, of which {group.world.size} processes are no multiple: "
                "they could not all hold as many copies"
            )
        self.reshard = reshard
        self.offload = CPUOffloadPolicy() if offload else OffloadPolicy()
        self.policy = MixedPrecisionPolicy(param_dtype=gather, reduce_dtype=reduce, cast_forward_inputs=False)
        self._skeleton: SpeechModel | None = None

    def wrap(self, model: SpeechModel) -> None:
        device = next(model.parameters()).device
        self._skeleton = copy.deepcopy(model).to("meta")
        self._forget_activations(model)
        shard = functools.partial(
            fully_shard,
            mesh=self._mesh(device),
            reshard_after_forward=self.reshard,
            mp_policy=self.policy,
            offload_policy=self.offload,
        )
        # It warns of a layer that gives a view, as stems do, lest it be changed in place: no layer does that.
        warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")
        for layer in model.encoder:
            shard(layer)
        for head in model.heads:
            shard(head)
            register_fsdp_forward_method(head, "loss")
        shard(model)
        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)
        self._module = model

    def _mesh(self, device: torch.device) -> DeviceMesh:
        size = self.group.world.size
        if self.shards == size:
            return init_device_mesh(device.type, (size,))
        return init_device_mesh(device.type, (size // self.shards, self.shards), mesh_dim_names=("copies", "shards"))

    @contextlib.contextmanager
    def microbatch(self, is_last: bool, what: str) -> Iterator[None]:
        assert isinstance(self._module, FSDPModule)
        self._module.set_requires_gradient_sync(is_last)
        self._module.set_is_last_backward(is_last)
        with self.group.collective(what):
            yield

    def rows(self, part: Tensor, gradient: Tensor) -> Tensor:
        if not isinstance(gradient, DTensor):
            return part
        whole = DTensor.from_local(
            part,
            gradient.device_mesh,
            [Shard(0) if p.is_shard() else p for p in gradient.placements],
            shape=torch.Size([gradient.shape[0] if gradient.ndim else 1]),
            stride=(1,),
            run_check=False,
        )
        return whole.full_tensor()

    def norm(self, gradients: list[Tensor]) -> Tensor:  # type: ignore[override]
        with self.group.collective("the gradient's norm"):
            found = super().norm(gradients)
            return found.full_tensor() if isinstance(found, DTensor) else found

    def average(self, model: SpeechModel, decay: float) -> RunningAverage:
        return ShardedAverage(self, model, decay)

    def to_decode(self, model: SpeechModel, average: RunningAverage | None) -> SpeechModel:
        if average is not None:
            return average.present()
        return self.whole(model, {})

    @torch.no_grad()
    def whole(self, model: SpeechModel, tensors: Mapping[str, Tensor]) -> SpeechModel:
        """A model of its own with all weights, gathered once; those in `tensors` instead of the model's."""
        assert self._skeleton is not None
        device = next(model.parameters()).device
        found = copy.deepcopy(self._skeleton).to_empty(device=device)
        with self.group.collective("gathering the weights"):
            for name, weight in model.named_parameters():
                source = tensors.get(name, weight)
                found.get_parameter(name).copy_(source.full_tensor() if isinstance(source, DTensor) else source)
        for name, buffer in model.named_buffers():
            found.get_buffer(name).copy_(buffer)
        return found.eval()


class ShardedAverage:
    """An exponential moving average of weights in shards, each process its own part (see `WeightAverage`)."""

    def __init__(self, strategy: ShardedParallel, model: SpeechModel, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self._strategy = strategy
        self._model = model
        self._weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._averages = {name: p.detach().clone() for name, p in self._weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present weights."""
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        self.num_updates += 1
        averages, weights = self._averages.values(), self._weights.values()
        torch._foreach_lerp_([local(a) for a in averages], [local(p) for p in weights], 1 - decay)

    def present(self) -> SpeechModel:
        """The averaged module, whole, in eval mode."""
        return self._strategy.whole(self._model, self._averages)

    def tensors(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(self._averages)
