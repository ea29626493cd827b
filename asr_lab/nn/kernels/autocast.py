"""Autocast, also where nothing is computed: torch knows no autocast for meta tensors."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor


def without_autocast(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """A region in which tensors like `x` keep their own types."""
    return contextlib.nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def autocast_dtype(x: Tensor) -> torch.dtype:
    """The type that a matrix product of `x` is computed in."""
    device = x.device.type
    if x.is_meta or not torch.is_autocast_enabled(device):
        return x.dtype
    return torch.get_autocast_dtype(device)
