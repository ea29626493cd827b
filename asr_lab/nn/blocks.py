"""Blocks: how mixers, convolutions and feed-forwards follow one another around a residual stream."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asr_lab.nn.conv import ConvModule, ConvState
from asr_lab.nn.feed_forward import FeedForward
from asr_lab.streaming import Context, Frames, Streamable


class MacaronState(NamedTuple):
    """What `Macaron` carries."""

    mixer: Any
    conv: ConvState


class Macaron(Streamable[MacaronState]):
    """Conformer's block (Gulati et al. 2020): half a feed-forward, mixer, convolution, half a feed-forward, norm.

    Each part reads the normalised stream and adds to it: (B, T, D) to (B, T, D).
    """

    def __init__(self, dim: int, mixer: Streamable[Any], conv: ConvModule, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm_first, self.first = nn.LayerNorm(dim), FeedForward(dim, hidden_dim, "silu", dropout)
        self.norm_mixer, self.mixer = nn.LayerNorm(dim), mixer
        self.norm_conv, self.conv = nn.LayerNorm(dim), conv
        self.norm_second, self.second = nn.LayerNorm(dim), FeedForward(dim, hidden_dim, "silu", dropout)
        self.norm = nn.LayerNorm(dim)

    def hop_frames(self, context: Context) -> int | None:
        mixer, conv = self.mixer.hop_frames(context), self.conv.hop_frames(context)
        return None if mixer is None or conv is None else math.lcm(mixer, conv)

    def initial_state(self, batch: int, context: Context) -> MacaronState:
        return MacaronState(self.mixer.initial_state(batch, context), self.conv.initial_state(batch, context))

    def forward(self, state: MacaronState, chunk: Frames, context: Context) -> tuple[MacaronState, Frames]:
        x = chunk.valid()
        x = torch.add(x, self.first(self.norm_first(x)), alpha=0.5)
        mixer, mixed = self.mixer(state.mixer, chunk.with_x(self.norm_mixer(x)), context)
        x = x + mixed.x
        conv, local = self.conv(state.conv, chunk.with_x(self.norm_conv(x)), context)
        x = x + local.x
        x = torch.add(x, self.second(self.norm_second(x)), alpha=0.5)
        return MacaronState(mixer, conv), chunk.with_x(self.norm(x))


class Transformer(Streamable[Any]):
    """A pre-norm transformer's block: a mixer, then a feed-forward with GELU: (B, T, D) to (B, T, D).

    Its state is the mixer's. The stream that leaves the last block is not normalised: a `Norm` ends such a stack.
    """

    def __init__(self, dim: int, mixer: Streamable[Any], hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm_mixer, self.mixer = nn.LayerNorm(dim), mixer
        self.norm_feed_forward, self.feed_forward = nn.LayerNorm(dim), FeedForward(dim, hidden_dim, "gelu", dropout)

    def hop_frames(self, context: Context) -> int | None:
        return self.mixer.hop_frames(context)

    def initial_state(self, batch: int, context: Context) -> Any:
        return self.mixer.initial_state(batch, context)

    def forward(self, state: Any, chunk: Frames, context: Context) -> tuple[Any, Frames]:
        x = chunk.valid()
        state, mixed = self.mixer(state, chunk.with_x(self.norm_mixer(x)), context)
        x = x + mixed.x
        return state, chunk.with_x(x + self.feed_forward(self.norm_feed_forward(x)))


class Residual(Streamable[Any]):
    """A pre-norm mixer and nothing else, Mamba's own block: (B, T, D) to (B, T, D). Its state is the mixer's."""

    def __init__(self, dim: int, mixer: Streamable[Any]) -> None:
        super().__init__()
        self.norm, self.mixer = nn.LayerNorm(dim), mixer

    def hop_frames(self, context: Context) -> int | None:
        return self.mixer.hop_frames(context)

    def initial_state(self, batch: int, context: Context) -> Any:
        return self.mixer.initial_state(batch, context)

    def forward(self, state: Any, chunk: Frames, context: Context) -> tuple[Any, Frames]:
        x = chunk.valid()
        state, mixed = self.mixer(state, chunk.with_x(self.norm(x)), context)
        return state, chunk.with_x(x + mixed.x)


class Upsample(Streamable[tuple[Tensor, ...]]):
    """Each frame as `factor` frames, one linear layer's output added: (B, T, D) to (B, T * factor, D).

    It carries nothing. The layer's values are dealt out over the places as in sub-pixel convolution (arXiv 1609.05158).
    """

    def __init__(self, dim: int, factor: int) -> None:
        super().__init__()
        self.ratio = Fraction(factor)
        self.factor = factor
        self.linear = nn.Linear(dim, factor * dim)

    def initial_state(self, batch: int, context: Context) -> tuple[Tensor, ...]:
        return ()

    def forward(self, state: tuple[Tensor, ...], chunk: Frames, context: Context) -> tuple[tuple[Tensor, ...], Frames]:
        x = chunk.valid()
        batch, frames, dim = x.shape
        places = self.linear(x).view(batch, frames, self.factor, dim) + x[:, :, None]
        return state, Frames(places.flatten(1, 2), self.factor * chunk.lengths, chunk.final, chunk.full)


class Norm(Streamable[tuple[Tensor, ...]]):
    """LayerNorm alone, the end of a pre-norm stack: (B, T, D) to (B, T, D). It carries nothing."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def initial_state(self, batch: int, context: Context) -> tuple[Tensor, ...]:
        return ()

    def forward(self, state: tuple[Tensor, ...], chunk: Frames, context: Context) -> tuple[tuple[Tensor, ...], Frames]:
        return state, chunk.with_x(self.norm(chunk.valid()))
