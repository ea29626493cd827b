"""Stems: the encoder's first layers, which lower the frame rate."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.kernels.autocast import autocast_dtype
from asr_lab.nn.kernels.depthwise import depthwise_of_patches, depthwise_of_relu
from asr_lab.streaming import Chain, Context, Frames, Streamable, last_valid


class KernelState(NamedTuple):
    """What `Kernel3` carries."""

    past: Tensor  # (B, 1 or 2, F), each row's last frames, zeros before the first
    begun: Tensor  # (B,) bool, rows that have seen a frame


class Kernel3(Streamable[KernelState]):
    """A layer whose out frame j sees frames s*j - 1 to s*j + 1, or s*j - 2 to s*j when causal; s is the stride.

    (B, T, F) to (B, ceil(T / stride), D). Before the first and behind the last frame of a row are zeros. At stride 1,
    not causal, it holds one frame back.
    """

    def __init__(self, in_dim: int, stride: int, causal: bool) -> None:
        super().__init__()
        assert stride in (1, 2)
        self.ratio = Fraction(1, stride)
        self.in_dim = in_dim
        self.stride = stride
        self.lookahead_frames = 1 if stride == 1 and not causal else 0
        self.past_frames = 1 if stride == 2 and not causal else 2

    def under_kernel(self, x: Tensor, num_frames: int) -> Tensor:
        """At least stride * (T - 1) + 3 frames of a row, (B, …, F), as T = `num_frames` frames out, (B, T, D)."""
        raise NotImplementedError

    def hop_frames(self, context: Context) -> int | None:
        return self.stride

    def initial_state(self, batch: int, context: Context) -> KernelState:
        return KernelState(self.zeros(batch, self.past_frames, self.in_dim), self.zeros(batch, dtype=torch.bool))

    def forward(self, state: KernelState, chunk: Frames, context: Context) -> tuple[KernelState, Frames]:
        x = torch.cat([state.past, chunk.valid()], 1)  # (B, past + T, F)
        new = KernelState(last_valid(x, chunk, self.past_frames), state.begun | (chunk.lengths > 0))
        if self.lookahead_frames:
            x, lengths = self._shifted(x, state.begun, new.begun, chunk)
            frames = x.shape[1] - 2
            full = lengths.device.type == "cpu" and bool((lengths == frames).all())  # a row that begins gives fewer
        else:
            lengths = ceil_div(chunk.lengths, self.stride)
            full = chunk.full
            frames = math.ceil(chunk.x.shape[1] / self.stride)
        x = F.pad(x, (0, 0, 0, max(0, self.stride * (frames - 1) + 3 - x.shape[1])))
        return new, Frames(self.under_kernel(x, frames), lengths, chunk.final, full)

    def _shifted(self, x: Tensor, begun: Tensor, will: Tensor, chunk: Frames) -> tuple[Tensor, Tensor]:
        """Frames under the kernels of what is given now, and how many are: a row gives its first frame one late."""
        lengths = chunk.lengths - (will & ~begun).long() + (will & chunk.final).long()
        x = F.pad(x, (0, 0, 0, 1))  # what is behind a row's last frame
        shifted = torch.where(begun[:, None, None], x, x.roll(-1, 1))
        return shifted[:, : 2 + _longest(lengths, chunk.x.shape[1])], lengths


class FrameConv(Kernel3):
    """A convolution of width 3 over frames and GELU: (B, T, F) to (B, ceil(T / stride), D)."""

    def __init__(self, in_dim: int, dim: int, stride: int, causal: bool) -> None:
        super().__init__(in_dim, stride, causal)
        self.conv = nn.Conv1d(in_dim, dim, 3)

    def under_kernel(self, x: Tensor, num_frames: int) -> Tensor:
        taps = [x[:, k :: self.stride][:, :num_frames] for k in range(3)]  # (B, T', F) each
        y = F.linear(torch.cat(taps, 2), self.conv.weight.transpose(1, 2).flatten(1), self.conv.bias)
        return F.gelu(y)


def _longest(lengths: Tensor, unknown: int) -> int:
    """The longest row; `unknown`, which none exceeds, where a device would have to tell."""
    return int(lengths.max()) if lengths.device.type == "cpu" else unknown


class WhisperConv(Chain):
    """Whisper's two convolutions (Radford et al. 2022), the second of stride 2: (B, T, F) to (B, ceil(T / 2), D)."""

    def __init__(self, num_features: int, dim: int, causal: bool) -> None:
        super().__init__([FrameConv(num_features, dim, 1, causal), FrameConv(dim, dim, 2, causal)])


class FrameStack(Streamable[tuple[()]]):
    """Neighbouring frames side by side through a linear layer: (B, T, F) to (B, ceil(T / factor), D)."""

    def __init__(self, num_features: int, dim: int, factor: int, norm: bool) -> None:
        super().__init__()
        self.ratio = Fraction(1, factor)
        self.factor = factor
        self.linear = nn.Linear(factor * num_features, dim)
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()

    def hop_frames(self, context: Context) -> int | None:
        return self.factor

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        frames = math.ceil(chunk.x.shape[1] / self.factor)
        x = F.pad(chunk.valid(), (0, 0, 0, frames * self.factor - chunk.x.shape[1]))
        x = x.reshape(x.shape[0], frames, self.factor * x.shape[2])
        lengths = ceil_div(chunk.lengths, self.factor)
        return (), Frames(self.norm(self.linear(x)), lengths, chunk.final, chunk.full)


class StrideState(NamedTuple):
    """What `DepthwiseStride` carries."""

    past: Tensor  # (B, P, F), each row's last frames of features
    seen: Tensor  # (B,) int64, frames so far, counted up to P


class DepthwiseStride(Streamable[StrideState]):
    """Strided convolutions over frames and mels, as in NeMo's `dw_striding`: (B, T, F) to (B, ceil(T / factor), D).

    A 3x3 convolution to `channels`, then depthwise 3x3 and pointwise ones, each of stride 2 and followed by ReLU, and a
    linear layer. Out frame j of a stage sees frames 2j - 1 to 2j + 1 of the stage before, or 2j - 2 to 2j when causal.
    Frames before a row's first and behind its last are zeros at every stage. The state holds features only, and the
    few frames between stages that a step needs again are made again.
    """

    def __init__(self, num_features: int, dim: int, factor: int, channels: int, causal: bool) -> None:
        super().__init__()
        assert factor in (4, 8)
        self.ratio = Fraction(1, factor)
        self.factor = factor
        self.num_features = num_features
        self.reach = 2 if causal else 1
        self.past_frames = self.reach * (factor - 1)
        self.first = nn.Linear(9, channels)
        num_stages = factor.bit_length() - 2
        self.depthwise = nn.ParameterList(
            nn.Parameter(torch.empty(channels, 1, 3, 3).uniform_(-1 / 3, 1 / 3)) for _ in range(num_stages)
        )
        self.pointwise = nn.ModuleList(nn.Linear(channels, channels) for _ in range(num_stages))
        self.out = nn.Linear(channels * math.ceil(num_features / factor), dim)

    def hop_frames(self, context: Context) -> int | None:
        return self.factor

    def initial_state(self, batch: int, context: Context) -> StrideState:
        past = self.zeros(batch, self.past_frames, self.num_features)
        return StrideState(past, self.zeros(batch, dtype=torch.int64))

    def forward(self, state: StrideState, chunk: Frames, context: Context) -> tuple[StrideState, Frames]:
        x = torch.cat([state.past, chunk.valid()], 1)
        seen = (state.seen + chunk.lengths).clamp(max=self.past_frames)
        new = StrideState(last_valid(x, chunk, self.past_frames), seen)
        dtype = autocast_dtype(x)
        x = F.pad(x, (1, 1 + self.num_features % 2, 0, -chunk.x.shape[1] % self.factor)).to(dtype)
        mask = self._mask(state, chunk.lengths, (x.shape[1] - 1) // 2, 2)
        x = self._first_stage(x, mask, self.depthwise[0].to(dtype))
        x = self.pointwise[0](x)
        for i, weight in enumerate(self.depthwise[1:], start=1):
            mask = self._mask(state, chunk.lengths, x.shape[1], 2 << i)
            x = self.pointwise[i](depthwise_of_relu(x, mask, weight.to(x.dtype)))
        y = self.out(x.relu().flatten(2))
        return new, Frames(y, ceil_div(chunk.lengths, self.factor), chunk.final, chunk.full)

    def _first_stage(self, x: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        """The first convolution as a matrix product over 3x3 patches, and the depthwise one behind it."""
        patches = x.unfold(1, 3, 2).unfold(2, 3, 2)  # (B, N, M, 3, 3)
        patches = F.pad(patches.flatten(3), (0, 1), value=1.0)  # the last value carries the bias
        patches = patches * mask[:, :, None, None]
        first = torch.cat([self.first.weight, self.first.bias[:, None]], 1).t()
        return depthwise_of_patches(patches, first.to(x.dtype).contiguous(), weight)

    def _mask(self, state: StrideState, lengths: Tensor, num_frames: int, stride: int) -> Tensor:
        """Which frames of the stage at `stride` lie within their row, (B, num_frames) bool."""
        past = self.reach * (self.factor // stride - 1)
        number = torch.arange(num_frames, device=lengths.device) - past  # counted from the step's first
        return (number >= -(state.seen // stride)[:, None]) & (number < ceil_div(lengths, stride)[:, None])


def ceil_div(x: Tensor, by: int) -> Tensor:
    """Whole parts of `by` that hold x, rounded up: x's shape."""
    return (x + (by - 1)).div(by, rounding_mode="floor")
