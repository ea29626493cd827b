"""Mamba-2: a selective state-space layer with a state that does not grow."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.conv import DepthwiseConv
from asr_lab.nn.kernels.dropout import dropout
from asr_lab.nn.kernels.ssd import ssd
from asr_lab.nn.norm import GatedRMSNorm
from asr_lab.streaming import WHOLE, Context, Frames, Streamable, last_valid, run_whole

A_RANGE = (1.0, 16.0)
DT_RANGE = (1e-3, 1e-1)


class Mamba2State(NamedTuple):
    """What `Mamba2` carries."""

    past: Tensor  # (B, conv_width - 1, E + 2 N), inputs of the convolution at each row's last valid frames
    ssm: Tensor  # (B, H, P, N)


class Mamba2(Streamable[Mamba2State]):
    """Mamba-2's mixer (Dao and Gu 2024), parametrised and initialised as mamba-ssm 2.3's: (B, T, D) to (B, T, D).

    E = expand * dim inner channels in H = E / head_dim heads of P = head_dim; one group of B and C. Causal: a context's
    limits do not touch it, and its memory is unbounded at a constant size.
    """

    def __init__(self, dim: int, state_dim: int, head_dim: int, expand: int, conv_width: int, dropout: float) -> None:
        super().__init__()
        inner = expand * dim
        if inner % head_dim:
            raise ValueError(f"heads of {head_dim} do not divide {inner} inner channels")
        self.state_dim, self.head_dim = state_dim, head_dim
        self.inner_dim, self.num_heads = inner, inner // head_dim
        self.dropout = dropout
        self.in_proj = nn.Linear(dim, 2 * inner + 2 * state_dim + self.num_heads, bias=False)
        self.conv = DepthwiseConv(inner + 2 * state_dim, conv_width)
        low, high = (math.log(t) for t in DT_RANGE)
        dt = torch.empty(self.num_heads).uniform_(low, high).exp_()
        self.dt_bias = nn.Parameter(dt.expm1_().log_())  # softplus of it is dt
        self.A_log = nn.Parameter(torch.empty(self.num_heads).uniform_(*A_RANGE).log_())
        self.D = nn.Parameter(torch.ones(self.num_heads))
        self.norm = GatedRMSNorm(inner)
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def initial_state(self, batch: int, context: Context) -> Mamba2State:
        channels = self.inner_dim + 2 * self.state_dim
        return Mamba2State(
            self.zeros(batch, self.conv.kernel_frames - 1, channels),
            self.zeros(batch, self.num_heads, self.head_dim, self.state_dim),
        )

    def forward(self, state: Mamba2State, chunk: Frames, context: Context) -> tuple[Mamba2State, Frames]:
        if chunk.x.shape[1] == 0:
            return state, chunk
        inner, n = self.inner_dim, self.state_dim
        z, xbc, dt = torch.split(self.in_proj(chunk.valid()), [inner, inner + 2 * n, self.num_heads], dim=-1)
        xbc = torch.cat([state.past.to(xbc.dtype), xbc], dim=1)  # (B, conv_width - 1 + T, E + 2 N)
        past = last_valid(xbc, chunk, state.past.shape[1]).to(state.past.dtype)
        x, b, c = torch.split(F.silu(self.conv(xbc)), [inner, n, n], dim=-1)
        x = x.view(*x.shape[:2], self.num_heads, self.head_dim)  # (B, T, H, P)
        # Decays are products over many frames: never below float32. A step of 0 in the padding keeps the state.
        dt = F.softplus(dt.to(state.ssm.dtype) + self.dt_bias)
        if not chunk.full:
            dt = dt * chunk.mask()[..., None]
        y, ssm = ssd(x, dt, -self.A_log.exp(), self.D, b, c, state.ssm)
        ssm = ssm.to(state.ssm.dtype)
        if not chunk.full:
            ssm = torch.where((chunk.lengths > 0)[:, None, None, None], ssm, state.ssm)
        y = self.out_proj(self.norm(y.flatten(-2), z))
        y = dropout(y, self.dropout, self.training)
        return Mamba2State(past, ssm), chunk.with_x(y)


class BidirectionalMamba2(Streamable[tuple[()]]):
    """Two Mamba-2 mixers, one over the frames and one over them reversed, summed: (B, T, D) to (B, T, D).

    Each row is reversed within its valid frames, so neither scan reads padding. It needs the whole utterance in every
    context, and has twice the parameters and cost of one mixer. Source: ExtBiMamba of Zhang et al. 2024, "Mamba in
    Speech: Towards an Alternative to Self-Attention" (arXiv 2405.12609), with Mamba-2 in the place of Mamba.
    """

    def __init__(self, dim: int, state_dim: int, head_dim: int, expand: int, conv_width: int, dropout: float) -> None:
        super().__init__()
        self.left_to_right = Mamba2(dim, state_dim, head_dim, expand, conv_width, dropout)
        self.right_to_left = Mamba2(dim, state_dim, head_dim, expand, conv_width, dropout)

    def hop_frames(self, context: Context) -> int | None:
        return None

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        order = _reversed_within_rows(chunk)
        onward = run_whole(self.left_to_right, chunk, WHOLE)
        back = run_whole(self.right_to_left, chunk.with_x(_reordered(chunk.x, order)), WHOLE)
        return (), chunk.with_x(onward.x + _reordered(back.x, order))


def _reversed_within_rows(frames: Frames) -> Tensor:
    """Where each frame stands when its row's valid frames are turned round and padding stays: (B, T) int64."""
    number = torch.arange(frames.x.shape[1], device=frames.x.device)
    return torch.where(frames.mask(), frames.lengths[:, None] - 1 - number, number)


def _reordered(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[2]))
