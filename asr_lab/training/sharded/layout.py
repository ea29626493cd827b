"""Where a process's part of a tensor lies: plain tensors, and those that torch keeps in shards (DTensor)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor, nn

from asr_lab.training.sharded.pieces import Box, TensorPiece

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def piece_of(tensor: Tensor, rank: int, world: int) -> TensorPiece:
    """This process's piece: of a DTensor its shard, of a plain tensor all of it, which every process has alike."""
    if (sharded := _as_sharded(tensor)) is None:
        return TensorPiece(tensor.detach(), tuple(tensor.shape), (0,) * tensor.ndim, rank, world)
    box, local = _own_box(sharded), sharded.to_local().detach()
    assert tuple(local.shape) == box.sizes, f"a shard of {tuple(local.shape)} where {box.sizes} is due"
    copy, num_copies = 0, 1
    for dim, placement in enumerate(sharded.placements):
        if placement.is_replicate():
            size = sharded.device_mesh.size(dim)
            copy, num_copies = copy * size + sharded.device_mesh.get_local_rank(dim), num_copies * size
    return TensorPiece(local, tuple(sharded.shape), box.offsets, copy, num_copies)


def laid_out_like(like: Tensor | None, read: Callable[[Box | None], Tensor]) -> Tensor:
    """A tensor of which `read` gives parts, laid out as another of its shape is: a DTensor reads its own shard alone.

    `read(None)` is all of it.
    """
    sharded = None if like is None else _as_sharded(like)
    if sharded is None:
        return read(None)
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(
        read(_own_box(sharded)).to(sharded.device),
        sharded.device_mesh,
        sharded.placements,
        run_check=False,
        shape=sharded.shape,
        stride=sharded.stride(),
    )


def _as_sharded(tensor: Tensor) -> DTensor | None:
    if type(tensor) in (Tensor, nn.Parameter):
        return None
    from torch.distributed.tensor import DTensor  # takes a while to load

    return tensor if isinstance(tensor, DTensor) else None


def _own_box(tensor: DTensor) -> Box:
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    assert all(type(p) in (Shard, Replicate) for p in tensor.placements), f"pieces of {tensor.placements}"
    sizes, offsets = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return Box(tuple(offsets), tuple(sizes))
