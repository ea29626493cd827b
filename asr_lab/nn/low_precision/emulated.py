"""The emulated product: a scheme's roundings as one differentiable function, on any machine."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from asr_lab.nn.low_precision.schemes import Scheme


class Emulated:
    """The product of one layer by a scheme."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        return cast(Tensor, _Product.apply(x, weight, self.scheme))

    def state(self) -> dict[str, Tensor]:
        """See Product."""
        return self.scheme.state()


class _Product(torch.autograd.Function):
    """x weightᵀ by a scheme, with the scheme's gradients; sums are in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scheme: Scheme) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.scheme = scheme
        with torch.autocast(x.device.type, enabled=False):
            return scheme.output(x, weight).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        (g,) = grads
        for_x = for_weight = None
        with torch.autocast(x.device.type, enabled=False):
            ctx.scheme.see_gradient(g)
            if ctx.needs_input_grad[0]:
                for_x = ctx.scheme.input_grad(g, weight).to(x.dtype)
            if ctx.needs_input_grad[1]:
                for_weight = ctx.scheme.weight_grad(g, x).to(weight.dtype)
        return for_x, for_weight, None
