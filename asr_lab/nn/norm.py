"""Mamba-2's gated normalisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class GatedRMSNorm(nn.Module):
    """`rms_norm(y * silu(z)) * weight` over the last axis, computed in y's type: (…, dim) to (…, dim).

    The gate comes before the norm, as in mamba-ssm's RMSNormGated with `norm_before_gate=False`.
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        out: Tensor = _GatedRMSNorm.apply(y, z.to(y.dtype), self.weight, self.eps)
        return out


class _GatedRMSNorm(torch.autograd.Function):
    """The norm with its gradient written out: half the passes over y's size that autograd's takes."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, z: Tensor, weight: Tensor, eps: float) -> Tensor:
        normed = F.silu(z).mul_(y)
        mean_square = torch.linalg.vector_norm(normed, dim=-1, keepdim=True).square_().div_(y.shape[-1])
        scale = mean_square.add_(eps).rsqrt_()  # (…, 1)
        normed.mul_(scale)
        ctx.save_for_backward(y, z, weight, normed, scale)
        return normed * weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        [dout] = grads
        y, z, weight, normed, scale = ctx.saved_tensors
        along = dout * normed
        dweight = along.flatten(0, -2).sum(0)
        own = weight.to(along.dtype)  # a shard may have been gathered in another format than y's
        mean = (along @ own)[..., None] / y.shape[-1]
        dgated = torch.mul(dout, own, out=along).addcmul_(normed, mean, value=-1).mul_(scale)
        dy = F.silu(z).mul_(dgated)
        dz = torch.ops.aten.silu_backward(dgated.mul_(y), z)
        return dy, dz, dweight.to(weight.dtype), None
