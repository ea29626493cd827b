"""Mamba-2's recurrence, computed in blocks by matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from asr_lab.nn.kernels.autocast import without_autocast

BLOCK_FRAMES = 48
"""Most frames of a block: within it work grows with the square, between blocks it is sequential."""


def ssd(x: Tensor, dt: Tensor, a: Tensor, d: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """`S_t = exp(dt_t a) S_(t-1) + dt_t x_t b_t'`, `y_t = S_t c_t + d x_t`, as a state-space dual (Dao and Gu 2024).

    x (B, T, H, P), dt (B, T, H) at least 0, a (H,) below 0, d (H,), b and c (B, T, N) shared by the heads, state
    (B, H, P, N). A frame with dt = 0 leaves the state as it is. Computed in the state's type, autocast or not. Returns
    y (B, T, H, P) and the state after frame T.
    """
    frames = x.shape[1]
    blocks = -(-frames // BLOCK_FRAMES)
    size = -(-frames // blocks)
    missing = blocks * size - frames

    def blocked(t: Tensor) -> Tensor:
        return F.pad(t.to(state.dtype), (0, 0, 0, missing)).view(len(t), blocks, size, -1)

    with without_autocast(x):
        dt, b, c = blocked(dt), blocked(b), blocked(c)
        # From the block's start through each frame. Decays between frames are differences of these, which float32
        # would round to the size of their sum.
        log_decay = (dt.double() * a.double()).cumsum(2)  # (B, n, C, H)
        x = x.to(state.dtype)
        if torch.compiler.is_compiling():
            y, state, *_ = _compiled_blocks(x, dt, log_decay, d, b, c, state)
        else:
            y, state = _Blocks.apply(x, dt, log_decay, d, b, c, state)
    return y, state


class _Saved(NamedTuple):
    """What the way back needs of the way there, besides the inputs."""

    y: Tensor  # (B, T, H, P)
    state: Tensor  # (B, H, P, N), after frame T
    u: Tensor  # (B, H, n * C, P)
    u_end: Tensor  # (B, n * C, H, P)
    decay: Tensor  # (B, H, n, C, C)
    before: Tensor  # (B, n, H, P, N)


class _Blocks(torch.autograd.Function):
    """`ssd` on blocked inputs, with its gradient written out.

    Left to autograd, half of the time goes into passes over tensors of x's size that this form does not make. Sums
    over pairs of frames are laid out (B, H, n, C, …), a batch of matrix products for each head; sums over the state
    (B, n, C, H * P), where the heads share b and c and so one product.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dt: Tensor, log_decay: Tensor, d: Tensor, b: Tensor, c: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        saved = _forward(x, dt, log_decay, d, b, c, state)
        ctx.save_for_backward(x, dt, log_decay, d, b, c, *saved)
        return saved.y, saved.state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        return _backward(*grads, *ctx.saved_tensors)


def _forward(x: Tensor, dt: Tensor, log_decay: Tensor, d: Tensor, b: Tensor, c: Tensor, state: Tensor) -> _Saved:
    batch, frames, heads, width = x.shape
    blocks, size, n = b.shape[1:]
    step = dt.view(batch, blocks * size, heads)[:, :frames, :, None]  # (B, T, H, 1)
    to_end = (log_decay[:, :, -1:] - log_decay).exp_().to(x.dtype)  # (B, n, C, H)
    from_start = log_decay.exp().to(x.dtype)

    # Within blocks: attention without softmax, each pair of frames weighted by the decay between them.
    u = _padded(x, blocks * size, step, by_head=True)  # (B, H, n * C, P), dt x
    decay = _decay_between(log_decay, x.dtype)  # (B, H, n, C, C)
    similarity = c @ b.mT  # (B, n, C, C)
    y_heads = (decay * similarity[:, None]) @ u.view(batch, heads, blocks, size, width)

    # Between blocks: what each adds to the state by its end, then the state before each.
    u_end = _padded(x, blocks * size, step * to_end.view(batch, -1, heads, 1)[:, :frames])  # (B, n * C, H, P)
    added = u_end.view(batch, blocks, size, -1).mT @ b  # (B, n, H * P, N)
    added = added.view(batch, blocks, heads, width, n)
    kept = from_start[:, :, -1, :, None, None]  # (B, n, H, 1, 1)
    before = state[:, None] if blocks == 1 else torch.empty_like(added)
    for block in range(blocks):
        if blocks > 1:
            before[:, block] = state
        state = torch.addcmul(added[:, block], kept[:, block], state)
    y = (c @ before.flatten(2, 3).mT).view(batch, blocks * size, heads, width)

    torch.addcmul(y_heads.view(batch, heads, -1, width).transpose(1, 2), y, from_start.view(batch, -1, heads, 1), out=y)
    y = y[:, :frames].addcmul_(x, d[:, None])
    return _Saved(y, state, u, u_end, decay, before)


def _backward(
    dy: Tensor,
    dstate: Tensor,
    x: Tensor,
    dt: Tensor,
    log_decay: Tensor,
    d: Tensor,
    b: Tensor,
    c: Tensor,
    y: Tensor,
    state: Tensor,
    u: Tensor,
    u_end: Tensor,
    decay: Tensor,
    before: Tensor,
) -> tuple[Tensor, ...]:
    batch, frames, heads, width = x.shape
    blocks, size = b.shape[1:3]
    to_end = (log_decay[:, :, -1:] - log_decay).exp_().to(x.dtype)
    from_start = log_decay.exp().to(x.dtype)

    dy_heads = _padded(dy, blocks * size, None, by_head=True).view(batch, heads, blocks, size, width)
    dweights = dy_heads @ u.view(dy_heads.shape).mT  # (B, H, n, C, C)
    du_heads = (decay * (c @ b.mT)[:, None]).mT @ dy_heads
    dsimilarity = dweights.mul_(decay).sum(1)  # (B, n, C, C)

    dy_start = _padded(dy, blocks * size, from_start.view(batch, -1, heads, 1)[:, :frames])
    dy_start = dy_start.view(batch, blocks, size, -1)
    dc = dy_start @ before.flatten(2, 3) + dsimilarity @ b
    dbefore = (dy_start.mT @ c).view(before.shape)
    kept = from_start[:, :, -1, :, None, None]
    dafter = torch.empty_like(before)
    for block in reversed(range(blocks)):
        dafter[:, block] = dstate
        dstate = torch.addcmul(dbefore[:, block], kept[:, block], dstate)
    du_end = b @ dafter.flatten(2, 3).mT  # (B, n, C, H * P)
    db = u_end.view(batch, blocks, size, -1) @ dafter.flatten(2, 3) + dsimilarity.mT @ c

    du = torch.addcmul(
        du_heads.view(batch, heads, -1, width).transpose(1, 2),
        du_end.view(batch, blocks * size, heads, width),
        to_end.view(batch, -1, heads, 1),
    )[:, :frames]
    step = dt.view(batch, -1, heads)[:, :frames]
    dy_x = (dy * x).sum(-1)  # (B, T, H)
    ddt = (du * x).sum(-1)
    # y without d x is proportional to exp(log_decay), u to exp(-log_decay), the state after to that of the last.
    dlog_decay = (dy * y).sum(-1) - d * dy_x - step * ddt
    dlog_decay = F.pad(dlog_decay, (0, 0, 0, blocks * size - frames)).view(dt.shape)
    after = torch.cat([before[:, 1:], state[:, None]], dim=1)
    dlog_decay[:, :, -1] += (dafter * after).sum((-1, -2))
    dx = (du * step[..., None]).addcmul_(dy, d[:, None])
    ddt = F.pad(ddt, (0, 0, 0, blocks * size - frames)).view(dt.shape)
    return dx, ddt, dlog_decay.double(), dy_x.sum((0, 1)), db, dc, dstate


def _padded(x: Tensor, frames: int, scale: Tensor | None, by_head: bool = False) -> Tensor:
    """x (B, T, H, P) times `scale`, zeros up to `frames`, in one pass: (B, frames, H, P) or (B, H, frames, P)."""
    batch, given, heads, width = x.shape
    if by_head:
        out = x.new_empty(batch, heads, frames, width)
        target = out.transpose(1, 2)
    else:
        out = target = x.new_empty(batch, frames, heads, width)
    target[:, given:] = 0.0
    if scale is None:
        target[:, :given] = x
    else:
        torch.mul(x, scale, out=target[:, :given])
    return out


def _decay_between(log_decay: Tensor, dtype: torch.dtype) -> Tensor:
    """How much of frame j is left at frame i of its block, 0 for a later j: (B, n, C, H) to (B, H, n, C, C)."""
    log_decay = log_decay.permute(0, 3, 1, 2).contiguous()  # (B, H, n, C)
    size = log_decay.shape[-1]
    between = log_decay.new_empty((*log_decay.shape, size), dtype=dtype)
    torch.sub(log_decay[..., :, None], log_decay[..., None, :], out=between)
    future = torch.ones(size, size, dtype=torch.bool, device=log_decay.device).triu_(1)
    return between.masked_fill_(future, -math.inf).exp_()


@torch.library.custom_op("asr_lab::ssd", mutates_args=())
def _compiled_blocks(
    x: Tensor, dt: Tensor, log_decay: Tensor, d: Tensor, b: Tensor, c: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`_forward` as one operator of a compiled graph, which its loop over blocks would tie to one length."""
    saved = _forward(x, dt, log_decay, d, b, c, state)
    # Of one block `before` is a view of `state`, and y of padded ones has gaps.
    return saved._replace(y=saved.y.contiguous(), before=saved.before.clone())


@_compiled_blocks.register_fake
def _(
    x: Tensor, dt: Tensor, log_decay: Tensor, d: Tensor, b: Tensor, c: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    batch, _, heads, width = x.shape
    blocks, size, n = b.shape[1:]
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        torch.empty_like(state, memory_format=torch.contiguous_format),
        x.new_empty(batch, heads, blocks * size, width),
        x.new_empty(batch, blocks * size, heads, width),
        x.new_empty(batch, heads, blocks, size, size),
        x.new_empty(batch, blocks, heads, width, n),
    )


@torch.library.custom_op("asr_lab::ssd_backward", mutates_args=())
def _compiled_backward(grads: Sequence[Tensor], saved: Sequence[Tensor]) -> list[Tensor]:
    """`_backward` as one operator."""
    return [t.contiguous() for t in _backward(*grads, *saved)]


@_compiled_backward.register_fake
def _(grads: Sequence[Tensor], saved: Sequence[Tensor]) -> list[Tensor]:
    return [torch.empty_like(t, memory_format=torch.contiguous_format) for t in (*saved[:6], saved[7])]


def _keep_for_backward(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:6], *output)


def _way_back(ctx: Any, dy: Tensor, dstate: Tensor, *unused: Tensor) -> tuple[Tensor, ...]:
    return tuple(_compiled_backward([dy, dstate], list(ctx.saved_tensors)))


_compiled_blocks.register_autograd(_way_back, setup_context=_keep_for_backward)
