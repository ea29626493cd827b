"""Sums as one fixed tree of additions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def ordered_sum(x: Tensor, dims: Sequence[int], keepdim: bool = False) -> Tensor:
    """The sum of x over `dims`, in x's type, added up in float64.

    Places are numbered along `dims`, the last fastest, and place i meets place i + n / 2 until one is left, n being the
    next power of two: the order depends on the shape alone, and zeros at the end do not change the result.
    """
    dims = sorted(dim % x.ndim for dim in dims) if x.ndim else []
    kept = [dim for dim in range(x.ndim) if dim not in dims]
    flat = x.permute(*kept, *dims).reshape(*(x.shape[dim] for dim in kept), -1).to(torch.float64)
    total = _halved(flat).to(x.dtype)
    return total.reshape([1 if dim in dims else size for dim, size in enumerate(x.shape)]) if keepdim else total


def _halved(x: Tensor) -> Tensor:
    """(…, n) to (…)."""
    size = x.shape[-1]
    if size == 0:
        return x.new_zeros(x.shape[:-1])
    while size > 1:
        half = 1 << ((size - 1).bit_length() - 1)
        x = torch.cat([x[..., : size - half] + x[..., half:size], x[..., size - half : half]], -1)
        size = half
    return x[..., 0]


def ordered_product(a: Tensor, b: Tensor) -> Tensor:
    """Matrices (M, K) times (K, N), in their type: products, then sums in the order of k, each rounded."""
    total = a.new_zeros(len(a), b.shape[1])
    for k in range(a.shape[1]):
        total = total + a[:, k, None] * b[k]
    return total


def running_sum(x: Tensor, dim: int) -> Tensor:
    """Sums of the places up to each, along `dim`, in float64 and in x's type: each is added to the one before."""
    places = x.to(torch.float64).unbind(dim)
    sums = list(places[:1])
    for place in places[1:]:
        sums.append(sums[-1] + place)
    return torch.stack(sums, dim).to(x.dtype) if sums else x.clone()
