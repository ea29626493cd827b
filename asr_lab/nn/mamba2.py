"""Mamba-2: a selective state-space layer with a state that does not grow."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.conv import DepthwiseConv
from asr_lab.nn.dropout import dropout
from asr_lab.nn.norm import GatedRMSNorm
from asr_lab.nn.ssd import ssd
from asr_lab.streaming import Context, Frames, Streamable, last_valid

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
        weight = self.out_proj.weight
        channels = self.inner_dim + 2 * self.state_dim
        return Mamba2State(
            weight.new_zeros(batch, self.conv.kernel_frames - 1, channels),
            weight.new_zeros(batch, self.num_heads, self.head_dim, self.state_dim),
        )

    def forward(self, state: Mamba2State, chunk: Frames, context: Context) -> tuple[Mamba2State, Frames]:
        if chunk.x.shape[1] == 0:
            return state, chunk
        inner, n = self.inner_dim, self.state_dim
        z, xbc, dt = torch.split(self.in_proj(chunk.valid()), [inner, inner + 2 * n, self.num_heads], dim=-1)
        xbc = torch.cat([state.past.to(xbc.dtype), xbc], dim=1)  # (B, conv_width - 1 + T, E + 2 N)
        past = last_valid(xbc, chunk.lengths, state.past.shape[1]).to(state.past.dtype)
        x, b, c = torch.split(F.silu(self.conv(xbc)), [inner, n, n], dim=-1)
        x = x.view(*x.shape[:2], self.num_heads, self.head_dim)  # (B, T, H, P)
        # Decays are products over many frames: never below float32. A step of 0 in the padding keeps the state.
        dt = F.softplus(dt.to(state.ssm.dtype) + self.dt_bias) * chunk.mask()[..., None]
        y, ssm = ssd(x, dt, -self.A_log.exp(), self.D, b, c, state.ssm)
        ssm = torch.where((chunk.lengths > 0)[:, None, None, None], ssm.to(state.ssm.dtype), state.ssm)
        y = self.out_proj(self.norm(y.flatten(-2), z))
        y = dropout(y, self.dropout, self.training)
        return Mamba2State(past, ssm), chunk.with_x(y)
