"""Scores, softmax, dropout and the weighted sum, where no fused kernel does all of them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asr_lab.nn.kernels.autocast import without_autocast


def softmax_attention(
    q: Tensor, kv: Tensor, visible: Tensor | None, by_distance: Tensor | None, keep: Tensor | None
) -> Tensor:
    """Queries (b, Q, H, K) over keys and values (b, W, 2, H, K): (b, Q, H, K), in q's type.

    `visible` is (b, Q or 1, W) bool, a key at least for each query; None = all. `by_distance` (H, b, Q, R), R = W + Q,
    is added to the scores: column r of query i is for key i + r - Q. `keep` (b * H, Q, W) multiplies the weights.
    """
    with without_autocast(q):
        scores = None if by_distance is None else by_distance.to(q.dtype)
        if torch.compiler.is_compiling():  # which fuses what `_Attend` writes out
            return _attended(q, kv.to(q.dtype), visible, scores, keep)
        return _Attend.apply(q, kv.to(q.dtype), visible, scores, keep)  # type: ignore[no-any-return]


def softmax_attention_by_head(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, by_distance: Tensor) -> Tensor:
    """The same without gradients over keys and values (b, H, W, K) that lie in memory head by head."""
    with without_autocast(q):
        rows, queries, heads, width = q.shape
        k, v = (x.to(q.dtype).flatten(0, 1) for x in (k, v))
        weights = _weights(_by_head(q, width**-0.5), k, heads, visible, by_distance.to(q.dtype))
        return (weights @ v).view(rows, heads, queries, width).transpose(1, 2)


def _weights(q: Tensor, k: Tensor, heads: int, visible: Tensor | None, by_distance: Tensor | None) -> Tensor:
    """What each of the scaled queries (b * H, Q, K) takes of the keys (b * H, W, K): (b * H, Q, W)."""
    scores = (q @ k.mT).view(-1, heads, q.shape[1], k.shape[1])
    if by_distance is not None:
        scores += lined_up(by_distance).transpose(0, 1)
    if visible is not None:
        hidden = torch.zeros(visible.shape, dtype=q.dtype, device=q.device).masked_fill_(~visible, -math.inf)
        scores += hidden[:, None]
    return scores.softmax(-1).flatten(0, 1)


def _attended(q: Tensor, kv: Tensor, visible: Tensor | None, by_distance: Tensor | None, keep: Tensor | None) -> Tensor:
    k, v = (x.transpose(1, 2) for x in kv.unbind(2))  # (b, H, W, K)
    scores = (q.transpose(1, 2) * q.shape[3] ** -0.5) @ k.mT
    if by_distance is not None:
        scores = scores + lined_up(by_distance).transpose(0, 1)
    if visible is not None:
        scores = scores.masked_fill(~visible[:, None], -math.inf)
    weights = scores.softmax(-1)
    if keep is not None:
        weights = weights * keep.view(weights.shape)
    y: Tensor = (weights @ v).transpose(1, 2)
    return y


class _Attend(torch.autograd.Function):
    """With its gradient written out: autograd's would make a padded copy of the scores at each of six steps."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, kv: Tensor, visible: Tensor | None, by_distance: Tensor | None, keep: Tensor | None
    ) -> Tensor:
        rows, queries, heads, width = q.shape
        q = _by_head(q, width**-0.5)
        k, v = (_by_head(x, 1.0) for x in kv.unbind(2))
        weights = _weights(q, k, heads, visible, by_distance)  # (b * H, Q, W)
        ctx.save_for_backward(q, k, v, weights, keep)
        ctx.heads, ctx.by_distance = heads, by_distance is not None
        y = (weights if keep is None else weights * keep) @ v
        return y.view(rows, heads, queries, width).transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, keep = ctx.saved_tensors
        [dy] = grads
        rows, queries, heads, width = dy.shape
        dy = _by_head(dy, 1.0)
        dkv = dy.new_empty(rows, k.shape[1], 2, heads, width)
        dv = (weights if keep is None else weights * keep).mT @ dy
        dkv[:, :, 1] = dv.view(rows, heads, -1, width).transpose(1, 2)
        dweights = dy @ v.mT
        if keep is not None:
            dweights *= keep
        dscores = torch._softmax_backward_data(dweights, weights, -1, weights.dtype)
        dkv[:, :, 0] = (dscores.mT @ q).view(rows, heads, -1, width).transpose(1, 2)
        dq = (dscores @ k).mul_(width**-0.5).view(rows, heads, queries, width).transpose(1, 2)
        dby_distance = None
        if ctx.by_distance:
            dby_distance = dscores.new_zeros(heads, rows, queries, k.shape[1] + queries)
            lined_up(dby_distance).copy_(dscores.view(rows, heads, queries, -1).transpose(0, 1))
        return dq, dkv, None, dby_distance, None


def lined_up(by_distance: Tensor) -> Tensor:
    """Scores by distance (…, Q, R), in which row i's keys start at column Q - i, seen as (…, Q, R - Q) by key."""
    queries, distances = by_distance.shape[-2:]
    # Without the first Q values, in rows of R - 1, the keys line up.
    rows = by_distance.flatten(-2)[..., queries:].view(*by_distance.shape[:-1], distances - 1)
    return rows[..., : distances - queries]


def _by_head(x: Tensor, scale: float) -> Tensor:
    """x (b, T, H, K) times `scale` in one pass, as matrices of single heads: (b * H, T, K)."""
    rows, frames, heads, width = x.shape
    out = x.new_empty(rows, heads, frames, width)
    if scale == 1.0:
        out.copy_(x.transpose(1, 2))
    else:
        torch.mul(x.transpose(1, 2), scale, out=out)
    return out.flatten(0, 1)
