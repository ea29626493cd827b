"""Tensors that lie in shards over processes: the part that is here, and the whole."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

_MODULE = "torch.distributed.tensor"


def is_sharded(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether a tensor lies in shards. Where nothing has loaded their module, which takes seconds, none does."""
    module = sys.modules.get(_MODULE)
    return module is not None and isinstance(tensor, module.DTensor)


def local(tensor: Tensor) -> Tensor:
    """The part of a tensor that is here: itself, unless it lies in shards."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor; every process that holds a part must ask for it."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor


def own_span(tensor: DTensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the part that is here begins in the whole tensor, and its sizes."""
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    assert all(type(p) in (Shard, Replicate) for p in tensor.placements), f"parts of {tensor.placements}"
    sizes, offsets = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return tuple(offsets), tuple(sizes)


def own_part(values: Tensor, like: Tensor) -> Tensor:
    """Of values for a whole tensor, or of shards like those of `like`, those of the part of `like` that is here."""
    if is_sharded(values):
        return values.to_local()
    if not is_sharded(like):
        return values
    return values[tuple(slice(start, start + size) for start, size in zip(*own_span(like), strict=True))]


def as_shard(own: Tensor, like: DTensor) -> DTensor:
    """A tensor that lies as `like` does, of the part that is here; no process asks another."""
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(
        own.to(like.device), like.device_mesh, like.placements, shape=like.shape, stride=like.stride(), run_check=False
    )


def shard_like(values: Tensor, like: Tensor) -> Tensor:
    """A whole tensor's values as a tensor that lies as `like` does, on its device."""
    if not is_sharded(like) or is_sharded(values):
        return values
    return as_shard(own_part(values, like).clone(memory_format=torch.contiguous_format), like)


@torch.no_grad()
def gathered(tensors: Mapping[str, Tensor], is_kept: bool) -> dict[str, Tensor]:
    """All of each tensor on the CPU, one after another; nothing where it is not kept.

    Every process must call it with the same names. What lies in no shards is given as it is.
    """
    found = {}
    for name, tensor in tensors.items():
        if is_sharded(tensor):
            tensor = tensor.full_tensor()  # one at a time: a process holds no more than the largest beside its part
            if is_kept:
                tensor = tensor.to("cpu")
        if is_kept:
            found[name] = tensor
    return found
