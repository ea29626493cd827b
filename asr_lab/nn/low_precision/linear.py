"""A linear layer whose products are rounded while a region of low precision is entered, and plain elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Region:
    """Whether the layers that share it round; validation, evaluation and streaming never enter it."""

    def __init__(self) -> None:
        self.is_entered = False

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Round inside of this."""
        before, self.is_entered = self.is_entered, True
        try:
            yield
        finally:
            self.is_entered = before

    def __deepcopy__(self, memo: dict[int, Any]) -> Region:
        return self  # a copy of a model, as averaging keeps it, is governed by the region of the first


class Product(Protocol):
    """x (M, K) by weight (N, K) to x weightᵀ (M, N) in x's format, with gradients of its own."""

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor: ...
    def state(self) -> dict[str, Tensor]:
        """What is carried from step to step: live tensors, to save and to load into."""
        ...


class LowPrecisionLinear(nn.Linear):
    """A linear layer (…, K) to (…, N) with the parameters of another, which it replaces.

    Inside its region the product is the given one, on an input in autocast's format, and the bias is added after;
    outside it is `nn.Linear`. Its state dict is that of `nn.Linear`.
    """

    def __init__(self, linear: nn.Linear, product: Product, region: Region) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.training = linear.training
        self.product, self.region = product, region

    def forward(self, input: Tensor) -> Tensor:
        if not self.region.is_entered:
            return F.linear(input, self.weight, self.bias)
        kind = input.device.type
        x = input.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else input
        y = self.product(x.reshape(-1, self.in_features), self.weight)
        y = y.view(*input.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias.to(y.dtype)


def is_rounding(layer: nn.Module) -> bool:
    """Whether a layer's product is rounded here and now, so that its weight must not be multiplied in another way."""
    return isinstance(layer, LowPrecisionLinear) and layer.region.is_entered
