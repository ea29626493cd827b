"""Mamba-2's recurrence, computed in blocks by matrix products."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK_FRAMES = 64
"""Frames of a block: within it the work grows with its square, between blocks it is sequential."""


def ssd(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """The state-space dual form of `S_t = exp(dt_t a) S_(t-1) + dt_t x_t b_t'`, `y_t = S_t c_t` (Dao and Gu 2024).

    x (B, T, H, P), dt (B, T, H) at least 0, a (H,) below 0, b and c (B, T, N) shared by the heads, state (B, H, P, N).
    A frame with dt = 0 leaves the state as it is. Returns y (B, T, H, P) and the state after frame T.
    """
    frames, heads, width = x.shape[1:]
    num_blocks = math.ceil(frames / BLOCK_FRAMES)
    size = math.ceil(frames / num_blocks)
    x, dt, b, c = (_blocks(t, num_blocks, size) for t in (x, dt, b, c))  # (B, n, C, …)
    log_decay = (dt * a).cumsum(2).permute(0, 1, 3, 2)  # (B, n, H, C), from the block's start through each frame
    x = x * dt[..., None]

    # Within blocks: like attention without softmax, each pair of frames weighted by the decay between them.
    between = (log_decay[..., :, None] - log_decay[..., None, :]).masked_fill(_future(size, x.device), -math.inf)
    weights = (c @ b.transpose(-1, -2))[:, :, None] * between.exp()  # (B, n, H, C, C)
    y = (weights @ x.transpose(2, 3)).transpose(2, 3)  # (B, n, C, H, P)

    # Between blocks: what each block adds to the state by its end, then the state before each block.
    to_end = (log_decay[..., -1:] - log_decay).exp().transpose(2, 3)  # (B, n, C, H)
    added = (x * to_end[..., None]).flatten(-2).transpose(-1, -2) @ b  # (B, n, H * P, N)
    added = added.view(*added.shape[:2], heads, width, -1)
    kept = log_decay[..., -1].exp()[..., None, None]  # (B, n, H, 1, 1)
    before = []
    for block in range(num_blocks):
        before.append(state)
        state = torch.addcmul(added[:, block], kept[:, block], state)
    carried = torch.stack(before, 1).flatten(2, 3)  # (B, n, H * P, N)
    from_state = (c @ carried.transpose(-1, -2)).view(x.shape)  # (B, n, C, H, P)
    y = torch.addcmul(y, from_state, log_decay.exp().transpose(2, 3)[..., None])
    return y.flatten(1, 2)[:, :frames], state


def _blocks(x: Tensor, num_blocks: int, size: int) -> Tensor:
    missing = num_blocks * size - x.shape[1]
    if missing:
        x = F.pad(x, (0, 0) * (x.ndim - 2) + (0, missing))
    return x.reshape(len(x), num_blocks, size, *x.shape[2:])


def _future(size: int, device: torch.device) -> Tensor:
    return torch.ones(size, size, dtype=torch.bool, device=device).triu(1)
