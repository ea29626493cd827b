"""Random numbers from the bits of torch's generator of the CPU; its own normal draws depend on the instruction set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from asr_lab.training.cross_hardware import exact_functions as functions


def uniform(x: Tensor, low: float = 0, high: float = 1, *, generator: torch.Generator | None = None) -> Tensor:
    """Values in [low, high), of x's shape and type."""
    return _raw(x, generator).to(x.dtype) * (high - low) + low


def normal(x: Tensor, mean: float = 0, std: float = 1, *, generator: torch.Generator | None = None) -> Tensor:
    """Normal values of x's shape and type, two uniform ones for each (Box and Muller 1958)."""
    radius = functions.root(functions.log(1 - _raw(x, generator)) * -2)
    angle = _raw(x, generator) * (2 * math.pi)
    return (radius * functions.cos(angle) * std + mean).to(x.dtype)


def normal_of(
    size: Sequence[int],
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    layout: torch.layout | None = None,
    device: torch.device | None = None,
    pin_memory: bool | None = None,
) -> Tensor:
    """Normal values (*size,)."""
    return normal(torch.empty(size, dtype=dtype, device=device), generator=generator)


def normal_like(x: Tensor, **options: Any) -> Tensor:
    """Normal values of x's shape and type."""
    return normal(x)


def bernoulli(x: Tensor, p: float | Tensor = 0.5, *, generator: torch.Generator | None = None) -> Tensor:
    """1 with probability p, else 0, of x's shape and type."""
    return (_raw(x, generator) < p).to(x.dtype)


def dropped(x: Tensor, rate: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """x with a `rate` of its values 0, the others scaled; and which were kept."""
    if train is False or rate == 0:
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    kept = _raw(x, None) >= rate
    return x * kept * (1 / (1 - rate)), kept


def _raw(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Multiples of 2^-53 in [0, 1), float64, drawn on the CPU whatever x's device."""
    return torch.rand(x.shape, dtype=torch.float64, generator=generator).to(x.device)
