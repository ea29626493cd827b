"""The gradient's norm as one sum in one order, however its tensors are cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from asr_lab.training.parallel.shards import local


def ordered_norm(gradients: Sequence[Tensor], all_rows: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The square root of the sum of squares, () float32: squares are added up row by row in float64.

    A tensor is cut along its first axis or not at all, so its rows are whole; `all_rows(part, gradient)` gives the sums
    of all of a gradient's rows. They are added exactly (`math.fsum`): neither order nor threads show.
    """
    if not gradients:
        return torch.zeros(())
    sums = []
    for gradient in gradients:
        squares = local(gradient).double().square()
        sums.append(all_rows(squares.flatten(1).sum(1) if squares.ndim > 1 else squares.reshape(-1), gradient))
    values = torch.cat(sums).tolist()
    finite = all(map(math.isfinite, values))
    norm = math.sqrt(math.fsum(values)) if finite else sum(values)
    return torch.tensor(norm, dtype=torch.float32, device=gradients[0].device)
