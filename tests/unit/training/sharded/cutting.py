"""Tensors of odd shapes and types, cut as several processes would have them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from asr_lab.training.sharded.pieces import TensorPiece

SHAPES: tuple[tuple[int, ...], ...] = (
    (), (0,), (1,), (2,), (3,), (5,), (97,), (4, 6), (3, 0), (0, 3), (1, 1), (7, 1), (1, 7), (5, 4, 3),
    (2, 3, 4, 5), (129, 2),
)  # fmt: skip
DTYPES = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.float8_e4m3fn, torch.complex64,
)  # fmt: skip


def odd_tensors(seed: int = 0) -> dict[str, Tensor]:
    """A tensor of every shape and type by name, of random bits: NaN with its payload, infinity and minus zero too."""
    draw = torch.Generator().manual_seed(seed)
    made = {}
    for shape, dtype in itertools.product(SHAPES, DTYPES):
        size = torch.empty((), dtype=dtype).element_size()
        count = torch.Size(shape).numel() * size
        bits = torch.randint(0, 256, (count,), dtype=torch.uint8, generator=draw)
        if dtype is torch.bool:
            bits &= 1
        name = f"{'x'.join(map(str, shape)) or 'scalar'}.{str(dtype).removeprefix('torch.')}"
        made[name] = bits.view(dtype).reshape(shape) if count else torch.empty(shape, dtype=dtype)
    return made


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether type, shape and every bit are equal."""
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    flat = [t.contiguous().reshape(-1) for t in (a, b)]
    return not a.numel() or torch.equal(flat[0].view(torch.uint8), flat[1].view(torch.uint8))


def cut(tensor: Tensor, edges: Sequence[Sequence[int]]) -> list[TensorPiece]:
    """The pieces that cuts at these places leave, by dimension; those between equal edges are empty."""
    cells = itertools.product(*(itertools.pairwise(cut) for cut in edges))
    return [
        TensorPiece(tensor[tuple(slice(a, b) for a, b in cell)], tuple(tensor.shape), tuple(a for a, _ in cell))
        for cell in cells
    ]


def rows(tensor: Tensor, count: int, dim: int = 0) -> list[TensorPiece]:
    """What FSDP gives each of `count` processes: rows in even parts, the last ones fewer or none."""
    if not tensor.ndim:
        return [TensorPiece(tensor, (), (), rank, count) for rank in range(count)]
    dim %= tensor.ndim
    step = -(-tensor.shape[dim] // count)
    edges = [[0, side] for side in tensor.shape]
    edges[dim] = [min(rank * step, tensor.shape[dim]) for rank in range(count + 1)]
    return cut(tensor, edges)
