"""Dropout with a generator that is fast on processors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

RESOLUTION = 1 << 16
"""Rates are multiples of one over this."""


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Zeros in the place of a `rate` of the values, the others scaled to keep the mean; `x` itself outside training."""
    if not training or rate == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, rate)
    return x * keep(x.shape, rate, x.dtype, x.device)


def keep(shape: Sequence[int], rate: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What dropout multiplies with: 0 in a `rate` of the places, 1 / (1 - rate) in the others.

    On a CPU one draw from torch's generator seeds SFC64, which makes four values' draws of each 64 bits; torch's own
    Mersenne Twister took a quarter of a small conformer's step. The same seed gives the same bits with any number of
    threads.
    """
    if torch.compiler.is_compiling():
        kept_at: Tensor = _compiled_keep(list(shape), rate, dtype, device)
        return kept_at
    cut = min(round(rate * RESOLUTION), RESOLUTION - 1)  # a rate that rounds to 1 keeps a place now and then
    if device.type != "cpu" or cut == 0:
        return F.dropout(torch.ones(shape, dtype=dtype, device=device), rate)
    count = math.prod(shape)
    source = np.random.SFC64(int(torch.randint(1 << 62, ())))
    draws = torch.from_numpy(source.random_raw((count + 3) // 4).view(np.int16)[:count]).view(shape)
    # A draw becomes 1 or 0 in its own type: torch makes and converts booleans four times slower.
    first = cut - RESOLUTION // 2  # the lowest draw that is kept
    kept = draws.clamp_(first - 1, first).sub_(first - 1)
    return kept.to(dtype).mul_(RESOLUTION / (RESOLUTION - cut))


@torch.library.custom_op("asr_lab::keep", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def _compiled_keep(shape: Sequence[int], rate: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`keep` as one operator of a compiled graph, which draws what it would draw outside."""
    return keep(shape, rate, dtype, device)


@_compiled_keep.register_fake
def _(shape: Sequence[int], rate: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.empty(tuple(shape), dtype=dtype, device=device)
