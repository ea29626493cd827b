"""Where a step's samples are taken from, row by row."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def rows_from(x: Tensor, first: Tensor, count: int) -> Tensor:
    """`count` samples of each row from its own `first` (B,) on, zeros behind the end: (B, S) to (B, count).

    `first` may be on the host where x is not; on x's device its values are waited for.
    """
    lowest, highest = int(first.min()), int(first.max())
    x = F.pad(x, (0, max(0, highest + count - x.shape[1])))
    if lowest == highest:  # whole utterances, or streams in step: no index of every sample
        return x[:, lowest : lowest + count]
    first = first.to(x.device, non_blocking=True)
    return x.gather(1, first[:, None] + torch.arange(count, device=x.device))
