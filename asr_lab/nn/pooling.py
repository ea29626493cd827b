"""Mean and maximum over a window of frames, through a feed-forward."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.dropout import dropout as drop
from asr_lab.streaming import Context, Frames, Streamable, last_valid


class PoolingState(NamedTuple):
    """What `Pooling` carries."""

    past: Tensor  # (B, P, D), what the window holds before the step's first frame; P = 0 where it is centred
    known: Tensor  # (B, P, 1), 1 for a frame that there was, 0 before a row's first


class Pooling(Streamable[PoolingState]):
    """Each frame beside the mean and the maximum of the frames around it, two linear layers: (B, T, D) to (B, T, D).

    The window holds the present frame and those before it, or is centred on it and cannot be cut. What lies beyond a
    row's first and last frame counts in neither.
    """

    def __init__(self, dim: int, window_frames: int, causal: bool, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        assert causal or window_frames % 2
        self.dim = dim
        self.window_frames = window_frames
        self.causal = causal
        self.dropout = dropout
        self.up = nn.Linear(3 * dim, hidden_dim)
        self.down = nn.Linear(hidden_dim, dim)

    @property
    def past_frames(self) -> int:
        """Frames in the window before the present one."""
        return self.window_frames - 1 if self.causal else self.window_frames // 2

    def hop_frames(self, context: Context) -> int | None:
        return 1 if self.causal else None

    def initial_state(self, batch: int, context: Context) -> PoolingState:
        past = self.down.weight.new_zeros(batch, self.past_frames if self.causal else 0, self.dim)
        return PoolingState(past, past[..., :1])

    def forward(self, state: PoolingState, chunk: Frames, context: Context) -> tuple[PoolingState, Frames]:
        if chunk.x.shape[1] == 0:
            return state, chunk
        x = chunk.valid()
        known = chunk.mask()[..., None].to(x.dtype)  # (B, T, 1)
        if self.causal:
            seen = torch.cat([state.past.to(x.dtype), x], 1)
            known = torch.cat([state.known.to(x.dtype), known], 1)
            past = self.past_frames
            carried = PoolingState(last_valid(seen, chunk, past), last_valid(known, chunk, past))
            state = PoolingState(*(new.to(old.dtype) for new, old in zip(carried, state, strict=True)))
        else:
            sides = (0, 0, self.past_frames, self.past_frames)
            seen, known = F.pad(x, sides), F.pad(known, sides)
        y = torch.cat([x, *self._pooled(seen, known)], 2)
        y = self.down(drop(F.gelu(self.up(y)), self.dropout, self.training))
        return state, chunk.with_x(y)

    def _pooled(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and maximum of the known among frames (B, W - 1 + T, D), (B, T, D) each; zeros where there are none."""
        x, known = x.transpose(1, 2), known.transpose(1, 2)
        share = F.avg_pool1d(known, self.window_frames, 1)
        mean = F.avg_pool1d(x, self.window_frames, 1) / share.clamp(min=0.5 / self.window_frames)
        lowest = torch.finfo(x.dtype).min
        greatest = F.max_pool1d(torch.where(known > 0, x, lowest), self.window_frames, 1)
        greatest = torch.where(share > 0, greatest, 0.0)
        return mean.transpose(1, 2), greatest.transpose(1, 2)
