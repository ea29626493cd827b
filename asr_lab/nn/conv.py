"""Depthwise convolution over frames, and the convolution module of a conformer."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from asr_lab.nn.kernels.autocast import without_autocast
from asr_lab.nn.kernels.dropout import dropout
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

    def within_chunks(self, x: Tensor, chunk_frames: int) -> Tensor:
        """The centred convolution that reads zeros behind the end of each chunk: (B, side + T, D) to (B, T, D).

        The first `side = kernel_frames // 2` frames are the past. What is ahead is convolved chunk by chunk, each
        followed by as many zeros as the kernel reaches, fewer than a chunk: memory is linear in T whatever the chunk.
        """
        side, dim = self.kernel_frames // 2, x.shape[2]
        frames = x.shape[1] - side
        reach = min(side, chunk_frames - 1)
        with without_autocast(x):
            weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
            y: Tensor = _Depthwise.apply(x, weight[:, : side + 1], bias)
            if not reach:
                return y
            chunks = -(-frames // chunk_frames)
            ahead = F.pad(x[:, side:], (0, 0, 0, chunks * chunk_frames - frames)).view(-1, chunk_frames, dim)
            ahead = F.pad(ahead[:, 1:], (0, 0, 0, reach))  # (B * chunks, chunk_frames - 1 + reach, D)
            more: Tensor = _Depthwise.apply(ahead, weight[:, side + 1 : side + 1 + reach], torch.zeros_like(bias))
            return y + more.reshape(len(x), chunks * chunk_frames, dim)[:, :frames]


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
        if dy.device.type != "cpu":
            return _gradient_by_torch(dy, x, weight)
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


def _gradient_by_torch(dy: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of x, weight and bias, in two kernels of a GPU."""
    channels = [weight.shape[0]]
    images = (t.transpose(1, 2).unsqueeze(2) for t in (dy, x))
    dx, dweight, dbias = torch.ops.aten.convolution_backward(
        *images, weight[:, None, None], channels, [1, 1], [0, 0], [1, 1], False, [0, 0], *channels, [True, True, True]
    )
    return dx.squeeze(2).transpose(1, 2), dweight[:, 0, 0], dbias


class ConvState(NamedTuple):
    """What `ConvModule` carries."""

    past: Tensor  # (B, P, D), what the kernel sees before the step's first frame; P = 0 where it sees the utterance


class ConvModule(Streamable[ConvState]):
    """Pointwise gate, depthwise convolution, LayerNorm, SiLU, pointwise: (B, T, D) to (B, T, D).

    Conformer's module (Gulati et al. 2020) with LayerNorm in the place of BatchNorm, which can neither stream nor be
    the same at any batch size. `sees` is the furthest that the kernel reads: the past and present frame; or, centred,
    its own chunk as well, with zeros behind the chunk's end (Li et al. 2023, "Dynamic Chunk Convolution for Unified
    Streaming and Non-Streaming Conformer ASR"), which in a whole context is the plain centred kernel; or the
    utterance, which cannot be cut.
    """

    def __init__(
        self, dim: int, kernel_frames: int, sees: Literal["past", "chunk", "utterance"], dropout: float
    ) -> None:
        super().__init__()
        if sees != "past" and kernel_frames % 2 == 0:
            raise ValueError(f"a centred kernel has an odd number of frames, not {kernel_frames}")
        self.dim = dim
        self.sees = sees
        self.dropout = dropout
        self.gate = nn.Linear(dim, 2 * dim)
        self.depthwise = DepthwiseConv(dim, kernel_frames)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)

    @property
    def past_frames(self) -> int:
        """Frames under the kernel before the present one."""
        kernel_frames = self.depthwise.kernel_frames
        return kernel_frames - 1 if self.sees == "past" else kernel_frames // 2

    def hop_frames(self, context: Context) -> int | None:
        return {"past": 1, "chunk": context.chunk_frames, "utterance": None}[self.sees]

    def initial_state(self, batch: int, context: Context) -> ConvState:
        frames = 0 if self.sees == "utterance" else self.past_frames
        return ConvState(self.zeros(batch, frames, self.dim))

    def forward(self, state: ConvState, chunk: Frames, context: Context) -> tuple[ConvState, Frames]:
        if chunk.x.shape[1] == 0:
            return state, chunk
        x = F.glu(self.gate(chunk.valid()), dim=-1)
        if self.sees != "past":
            x = chunk.with_x(x).valid()  # the gate's bias is no silence
        carried = state.past.shape[1]
        past = state.past if carried else x.new_zeros(len(x), self.past_frames, self.dim)
        x = torch.cat([past.to(x.dtype), x], dim=1)  # (B, past_frames + T, D)
        new = state if not carried else ConvState(last_valid(x, chunk, carried).to(state.past.dtype))
        y = self.out(F.silu(self.norm(self._convolved(x, context))))
        y = dropout(y, self.dropout, self.training)
        return new, chunk.with_x(y)

    def _convolved(self, x: Tensor, context: Context) -> Tensor:
        """Frames behind their past, (B, past_frames + T, D), under the kernel: (B, T, D)."""
        if self.sees == "past":
            return self.depthwise(x)  # type: ignore[no-any-return]
        chunk_frames = context.chunk_frames if self.sees == "chunk" else None
        if chunk_frames is None or x.shape[1] - self.past_frames <= chunk_frames:
            return self.depthwise(F.pad(x, (0, 0, 0, self.past_frames)))  # type: ignore[no-any-return]
        return self.depthwise.within_chunks(x, chunk_frames)
