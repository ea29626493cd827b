"""The gradient's norm as one sum in one order, however its tensors are cut and whoever holds them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def row_sums(part: Tensor) -> Tensor:
    """The sum of squares of each row of a tensor, (R,) float64; of a vector or a number, its squares.

    A tensor is cut along its first axis or not at all, so a process that holds a part of it holds whole rows.
    """
    squares = part.to(torch.float64)
    squares = squares * squares
    return squares.flatten(1).sum(1) if squares.ndim > 1 else squares.reshape(-1)


def ordered_norm(rows: Sequence[Tensor]) -> Tensor:
    """The root of the sum of all gradients' row sums, (R,) float64 each, in their order: () float32.

    They are added exactly and rounded once (`math.fsum`), so that neither threads nor shards show.
    """
    values = torch.cat(list(rows)).tolist() if rows else []
    finite = all(map(math.isfinite, values))
    norm = math.sqrt(math.fsum(values)) if finite else sum(values)
    return torch.tensor(norm, dtype=torch.float32, device=rows[0].device if rows else None)
