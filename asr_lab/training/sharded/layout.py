"""Where a process's part of a tensor lies: plain tensors, and those that torch keeps in shards (DTensor)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from asr_lab.training.parallel.shards import as_shard, is_sharded, own_span
from asr_lab.training.sharded.pieces import Box, TensorPiece


def piece_of(tensor: Tensor, rank: int, world: int) -> TensorPiece:
    """This process's piece: of a DTensor its shard, of a plain tensor all of it, which every process has alike."""
    if not is_sharded(tensor):
        return TensorPiece(tensor.detach(), tuple(tensor.shape), (0,) * tensor.ndim, rank, world)
    (offsets, sizes), local = own_span(tensor), tensor.to_local().detach()
    assert tuple(local.shape) == sizes, f"a shard of {tuple(local.shape)} where {sizes} is due"
    copy, num_copies = 0, 1
    for dim, placement in enumerate(tensor.placements):
        if placement.is_replicate():
            size = tensor.device_mesh.size(dim)
            copy, num_copies = copy * size + tensor.device_mesh.get_local_rank(dim), num_copies * size
    return TensorPiece(local, tuple(tensor.shape), offsets, copy, num_copies)


def laid_out_like(like: Tensor | None, read: Callable[[Box | None], Tensor]) -> Tensor:
    """A tensor of which `read` gives parts, laid out as another of its shape is: a DTensor reads its own shard alone.

    `read(None)` is all of it.
    """
    if like is None or not is_sharded(like):
        return read(None)
    return as_shard(read(Box(*own_span(like))), like)
