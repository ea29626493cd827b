"""Convolutions over frames and bands with pooling between them, as in the VGG networks."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.stem import KernelOfThree, ceil_div
from asr_lab.streaming import Chain, Context, Frames, Streamable


def _by_band(x: Tensor, num_bands: int) -> Tensor:
    """Bands on an axis of their own, (B, T, M * C) to (B, T, M, C)."""
    return x.reshape(*x.shape[:2], num_bands, x.shape[2] // num_bands)


class BandConv(KernelOfThree):
    """A 3x3 convolution over frames and bands, LayerNorm over the frame, ReLU: (B, T, M * C) to (B, T / s, M / s * C').

    Bands stand side by side in a frame, each with its channels. The stride s, 1 or 2, is that over frames and over
    bands, both rounded up. Out frame j sees frames s*j - 1 to s*j + 1, or s*j - 2 to s*j when causal; beside the first
    and last of the M bands are zeros.
    """

    def __init__(self, in_channels: int, channels: int, num_bands: int, stride: int, causal: bool) -> None:
        super().__init__(num_bands * in_channels, stride, causal)
        self.num_bands = num_bands
        self.out_bands = math.ceil(num_bands / stride)
        self.conv = nn.Conv2d(in_channels, channels, 3, stride, padding=(0, 1))
        self.scale = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def under_kernel(self, x: Tensor, num_frames: int) -> Tensor:
        if num_frames == 0:
            return x.new_zeros(len(x), 0, self.out_bands * self.conv.out_channels)
        x = x[:, : self.stride * (num_frames - 1) + 3]
        x = _by_band(x, self.num_bands).permute(0, 3, 1, 2)  # (B, C, T, M)
        y = self.conv(x).permute(0, 2, 3, 1).flatten(2)  # (B, T', M' * C')
        scale, bias = self.scale.repeat(self.out_bands), self.bias.repeat(self.out_bands)
        return F.layer_norm(y, y.shape[2:], scale, bias).relu()


class BandPool(Streamable[tuple[()]]):
    """The greatest of two bands in each of `frames` frames: (B, T, M * C) to (B, ceil(T / frames), ceil(M / 2) * C).

    Values are not negative, so that the zeros behind a row's last frame and above its last band change nothing.
    """

    def __init__(self, num_bands: int, frames: int) -> None:
        super().__init__()
        self.num_bands = num_bands
        self.frames = frames
        self.ratio = Fraction(1, frames)

    def hop_frames(self, context: Context) -> int | None:
        return self.frames

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        x = _by_band(F.pad(chunk.valid(), (0, 0, 0, -chunk.x.shape[1] % self.frames)), self.num_bands)
        x = F.pad(x, (0, 0, 0, self.num_bands % 2)).permute(0, 3, 1, 2)  # (B, C, T, M)
        y = F.max_pool2d(x, (self.frames, 2)) if x.shape[2] else x[..., : x.shape[3] // 2]
        lengths = ceil_div(chunk.lengths, self.frames)
        return (), Frames(y.permute(0, 2, 3, 1).flatten(2), lengths, chunk.final, chunk.full)


class BandSummary(Streamable[tuple[()]]):
    """Mean and maximum over the bands, and a linear layer: (B, T, M * C) to (B, T, D).

    Where in the spectrum a pattern lay is told no more closely than the convolutions' reach: a voice that is a few
    bands higher sounds the same.
    """

    def __init__(self, channels: int, num_bands: int, dim: int) -> None:
        super().__init__()
        self.num_bands = num_bands
        self.linear = nn.Linear(2 * channels, dim)

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        x = _by_band(chunk.valid(), self.num_bands)  # (B, T, M, C)
        return (), chunk.with_x(self.linear(torch.cat([x.mean(2), x.amax(2)], 2)))


class VGGStem(Chain):
    """Convolutions over frames and bands, which are halved three times: (B, T, F) to (B, ceil(T / factor), dim).

    In the manner of the VGG networks (Simonyan and Zisserman, arXiv 1409.1556): convolutions to `channels`, two of
    twice and two of four times as many, pooled between; but the first has a stride, which spares half of the work. Then
    `BandSummary`. Not causal, the kernels see 18 frames to the right at factor 8 and 14 at factor 4.
    """

    def __init__(self, num_features: int, dim: int, factor: int, channels: int, causal: bool) -> None:
        assert factor in (4, 8)
        halved = math.ceil(num_features / 2)
        quarter = math.ceil(halved / 2)
        eighth = math.ceil(quarter / 2)
        narrow, wide, widest = channels, 2 * channels, 4 * channels
        super().__init__(
            [
                BandConv(1, narrow, num_features, 2, causal),
                BandConv(narrow, wide, halved, 1, causal),
                BandPool(halved, 2),
                BandConv(wide, wide, quarter, 1, causal),
                BandConv(wide, widest, quarter, 1, causal),
                BandPool(quarter, factor // 4),
                BandConv(widest, widest, eighth, 1, causal),
                BandSummary(widest, eighth, dim),
            ]
        )
