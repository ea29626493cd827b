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
    """A 3x3 convolution over frames and bands, LayerNorm over the frame, ReLU: (B, T, M * C) to (B, T, M * C').

    Bands stand side by side in a frame, each with its channels. Out frame j sees frames j - 1 to j + 1, or j - 2 to j
    when causal; beside the first and last of the M bands are zeros.
    """

    def __init__(self, in_channels: int, channels: int, num_bands: int, causal: bool) -> None:
        super().__init__(num_bands * in_channels, 1, causal)
        self.num_bands = num_bands
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=(0, 1))
        self.scale = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def under_kernel(self, x: Tensor, num_frames: int) -> Tensor:
        if num_frames == 0:
            return x.new_zeros(len(x), 0, self.num_bands * self.conv.out_channels)
        x = _by_band(x[:, : num_frames + 2], self.num_bands).permute(0, 3, 1, 2)  # (B, C, T + 2, M)
        y = self.conv(x).permute(0, 2, 3, 1).flatten(2)  # (B, T, M * C')
        scale, bias = self.scale.repeat(self.num_bands), self.bias.repeat(self.num_bands)
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
    """Convolutions over frames and bands, pooled three times over bands: (B, T, F) to (B, ceil(T / factor), dim).

    Two convolutions to `channels`, two to twice as many, one each to four times as many, as a VGG network (Simonyan and
    Zisserman, arXiv 1409.1556); then `BandSummary`. Not causal, the kernels see 18 frames to the right at factor 8 and
    14 at factor 4.
    """

    def __init__(self, num_features: int, dim: int, factor: int, channels: int, causal: bool) -> None:
        assert factor in (4, 8)
        layers: list[Streamable[tuple[()]] | KernelOfThree] = []
        before, bands = 1, num_features
        for stage, (wide, convs) in enumerate([(channels, 2), (2 * channels, 2), (4 * channels, 1)]):
            for _ in range(convs):
                layers.append(BandConv(before, wide, bands, causal))
                before = wide
            layers.append(BandPool(bands, 2 if 2 << stage <= factor else 1))
            bands = math.ceil(bands / 2)
        layers += [BandConv(before, before, bands, causal), BandSummary(before, bands, dim)]
        super().__init__(layers)
