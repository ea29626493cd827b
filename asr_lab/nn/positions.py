"""Where a frame stands: sinusoids, added to the frames or turned into rotations."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asr_lab.nn.low_precision.linear import is_rounding
from asr_lab.streaming import Context, Frames, Streamable

MAX_PERIOD = 10_000.0
"""The slowest sinusoid turns by one radian in so many frames."""


def angles(positions: Tensor, count: int, spacing: int) -> Tensor:
    """Angles of `count` frequencies, the k-th `MAX_PERIOD ** (-k / spacing)` radians a frame: (…) to (…, count).

    In float64: after an hour of frames, float32 would have lost part of a turn.
    """
    steps = torch.arange(count, dtype=torch.float64, device=positions.device) / spacing
    return positions.to(torch.float64)[..., None] * MAX_PERIOD**-steps


def sinusoids(positions: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
    """Sines, then cosines, of each position (…): (…, dim), dim even. Those of Whisper's encoder."""
    theta = angles(positions, dim // 2, max(1, dim // 2 - 1))
    return torch.cat([theta.sin(), theta.cos()], dim=-1).to(dtype)


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Rotary position embedding (RoFormer, Su et al. 2021) of x (B, T, H, K), K even, at positions (T,).

    Value k is paired with value k + K / 2. Products of rotated vectors depend on the distance of their positions only.
    """
    half = x.shape[-1] // 2
    theta = angles(positions, half, half)[:, None]  # (T, 1, K / 2)
    cos, sin = theta.cos().to(x.dtype), theta.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class DistanceScores(nn.Module):
    """What a pair of frames scores for its distance, given the query (Transformer-XL, Dai et al. 2019).

    `(q + bias) · W r` with r the sinusoids of the distance. Transformer-XL's other bias, on the content's side, is the
    bias that the query's own projection has.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.dim = dim
        self.num_heads = num_heads
        self.project = nn.Linear(dim, dim, bias=False)
        self.bias = nn.Parameter(torch.zeros(num_heads, dim // num_heads))

    def forward(self, q: Tensor, left: int) -> Tensor:
        """Queries (b, Q, H, K) whose keys start `left` frames before the first: scaled scores (H, b, Q, R).

        R = left + 2 Q, from distance left + Q to -Q + 1: one more than any pair of frames has, for `lined_up`.
        """
        rows, queries, heads, width = q.shape
        r = distance_sinusoids(left + queries, left + 2 * queries, self.dim, self.project.weight.dtype, q.device)
        asked = ((q + self.bias) * width**-0.5).permute(2, 0, 1, 3).reshape(heads, rows * queries, width)
        # Three matrices are multiplied; for the few queries of a stream's step the other order is far cheaper. Rounded,
        # the orders differ, and which one is taken depends on the batch and the cut.
        is_few = rows * queries * (self.dim + (heads - 1) * len(r)) < len(r) * self.dim
        if is_few and not is_rounding(self.project):
            weight = self.project.weight.view(heads, width, self.dim)
            scores: Tensor = (asked @ weight) @ r.t()
        else:
            scores = asked @ self.project(r).view(-1, heads, width).permute(1, 2, 0)
        return scores.view(heads, rows, queries, len(r))


def distance_sinusoids(first: int, count: int, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Sinusoids of `count` distances from `first` downwards, (count, dim)."""
    if torch.compiler.is_compiling():  # a graph holds no tensor of an earlier step
        return sinusoids(first - torch.arange(count, device=device), dim, dtype)
    return _remembered_sinusoids(first, count, dim, dtype, device)


@lru_cache(maxsize=4)
def _remembered_sinusoids(first: int, count: int, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Every layer of a stack asks for the same."""
    with torch.inference_mode(False), torch.no_grad():  # what is remembered may be used in training later
        return sinusoids(torch.arange(first, first - count, -1, device=device), dim, dtype)


class SinusoidalState(NamedTuple):
    """What `Sinusoidal` carries."""

    seen: Tensor  # (B,) int64, frames of each row so far


class Sinusoidal(Streamable[SinusoidalState]):
    """Adds sinusoids of each frame's number in its utterance: (B, T, D) to (B, T, D). There is no longest utterance."""

    origin: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Without parameters, this is what knows the device.
        self.register_buffer("origin", torch.zeros((), dtype=torch.int64), persistent=False)

    def initial_state(self, batch: int, context: Context) -> SinusoidalState:
        return SinusoidalState(self.zeros(batch))

    def forward(self, state: SinusoidalState, chunk: Frames, context: Context) -> tuple[SinusoidalState, Frames]:
        x = chunk.valid()
        positions = state.seen[:, None] + torch.arange(x.shape[1], device=x.device)  # (B, T)
        return SinusoidalState(state.seen + chunk.lengths), chunk.with_x(x + sinusoids(positions, x.shape[2], x.dtype))
