"""Depthwise convolution over frames, and the convolution module of a conformer."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from asr_lab.nn.autocast import without_autocast
from asr_lab.nn.dropout import dropout
from asr_lab.streaming import Context, Frames, Streamable, last_valid


class DepthwiseConv(nn.Module):
    """A convolution over frames that keeps channels apart: (B, kernel_frames - 1 + T, D) to (B, T, D)."""

    def __init__(self, dim: int, kernel_frames: int) -> None:
        super().__init__()
        self.kernel_frames = kernel_frames
        bound = kernel_frames**-0.5
        self.weight = nn.Parameter(torch.empty(dim, kernel_frames).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(dim).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        with without_autocast(x):
            y: Tensor = _Depthwise.apply(x, self.weight.to(x.dtype), self.bias.to(x.dtype))
        return y


class _Depthwise(torch.autograd.Function):
    """The sum over the kernel's frames, with its gradient written out: torch's takes three times as long on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        [dy] = grads
        x, weight = ctx.saved_tensors
        frames, kernel = dy.shape[1], weight.shape[1]
        dx = _convolve(F.pad(dy, (0, 0, kernel - 1, kernel - 1)), weight.flip(1), None)
        product = torch.empty_like(dy)
        taps = [torch.mul(x[:, k : k + frames], dy, out=product).sum((0, 1)) for k in range(kernel)]
        return dx, torch.stack(taps, dim=1), dy.sum((0, 1))


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (B, kernel_frames - 1 + T, D) under weight (D, kernel_frames): (B, T, D)."""
    # What lies in memory frame by frame is what a 2-D convolution calls channels_last: no transposed copy is made.
    image = x.transpose(1, 2).unsqueeze(2)  # (B, D, 1, kernel_frames - 1 + T)
    y = F.conv2d(image, weight[:, None, None], bias, groups=x.shape[2])
    return y.squeeze(2).transpose(1, 2)


class ConvState(NamedTuple):
    """What `ConvModule` carries."""

    past: Tensor  # (B, kernel_frames - 1, D), what the kernel saw last of each row; (B, 0, D) where it is centred


class ConvModule(Streamable[ConvState]):
    """Pointwise gate, depthwise convolution, LayerNorm, SiLU, pointwise: (B, T, D) to (B, T, D).

    Conformer's module (Gulati et al. 2020) with LayerNorm in the place of BatchNorm, which can neither stream nor be
    the same at any batch size. Not causal, it needs the whole utterance.
    """

    def __init__(self, dim: int, kernel_frames: int, causal: bool, dropout: float) -> None:
        super().__init__()
        if not causal and kernel_frames % 2 == 0:
            raise ValueError(f"a centred kernel has an odd number of frames, not {kernel_frames}")
        self.dim = dim
        self.causal = causal
        self.dropout = dropout
        self.gate = nn.Linear(dim, 2 * dim)
        self.depthwise = DepthwiseConv(dim, kernel_frames)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)

    def hop_frames(self, context: Context) -> int | None:
        return 1 if self.causal else None

    def initial_state(self, batch: int, context: Context) -> ConvState:
        frames = self.depthwise.kernel_frames - 1 if self.causal else 0
        return ConvState(self.out.weight.new_zeros(batch, frames, self.dim))

    def forward(self, state: ConvState, chunk: Frames, context: Context) -> tuple[ConvState, Frames]:
        if chunk.x.shape[1] == 0:
            return state, chunk
        x = F.glu(self.gate(chunk.valid()), dim=-1)
        if self.causal:
            x = torch.cat([state.past.to(x.dtype), x], dim=1)  # (B, kernel_frames - 1 + T, D)
            past = last_valid(x, chunk.lengths, state.past.shape[1]).to(state.past.dtype)
        else:
            side = (self.depthwise.kernel_frames - 1) // 2
            x = F.pad(chunk.with_x(x).valid(), (0, 0, side, side))
            past = state.past
        y = self.out(F.silu(self.norm(self.depthwise(x))))
        y = dropout(y, self.dropout, self.training)
        return ConvState(past), chunk.with_x(y)
