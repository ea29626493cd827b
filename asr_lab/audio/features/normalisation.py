"""Normalising each feature's level: over the utterance, or as the stream goes."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from asr_lab.streaming import Frames

EPSILON = 1e-5
"""Added to a standard deviation (NeMo's)."""


def utterance_level(frames: Frames) -> Tensor:
    """Each feature with mean 0 and deviation 1 over its utterance, as NeMo's `per_feature`: (B, T, F)."""
    x = frames.valid()
    mask = frames.mask()[..., None].to(x.dtype)
    count = frames.lengths[:, None, None].to(x.dtype)
    mean = x.sum(1, keepdim=True) / count.clamp(min=1)
    centred = (x - mean) * mask
    deviation = (centred.square().sum(1, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
    return centred / (deviation + EPSILON)


class RunningState(NamedTuple):
    """What `running_level` carries: fading sums over each row's past, in double precision."""

    weight: Tensor  # (B, 1), frames seen, the older the less
    total: Tensor  # (B, F), sum of features
    square: Tensor  # (B, F), sum of their squares


def fresh_running_state(like: Tensor, batch: int, num_features: int) -> RunningState:
    """Nothing seen; on the device of `like`."""
    zeros = like.new_zeros(batch, num_features, dtype=torch.float64)
    return RunningState(zeros[:, :1], zeros, zeros)


def running_level(
    state: RunningState, frames: Frames, horizon_frames: int, prior_frames: int, prior_deviation: float
) -> tuple[RunningState, Tensor]:
    """Each feature against the mean and deviation of the frames so far, the present one included.

    A frame that is `horizon_frames` old counts 1/e. The variance starts as if `prior_frames` with `prior_deviation`
    had come before, so that the first frames are not blown up. Returns the new state and (B, T, F).
    """
    x = frames.valid().double()
    ones = frames.mask()[..., None].double()
    fade = math.exp(-1.0 / horizon_frames)
    sums = _fading_sums(torch.cat([ones, x, x.square()], 2), torch.cat(state, 1), fade)
    weight, total, square = _parts(sums[:, 1:])
    mean = total / weight.clamp(min=1e-9)
    spread = (square - weight * mean.square()).clamp(min=0)
    variance = (spread + prior_frames * prior_deviation**2) / (weight + prior_frames)
    last = frames.lengths[:, None, None].expand(-1, 1, sums.shape[2])
    new = RunningState(*_parts(sums.gather(1, last)[:, 0]))
    return new, ((x - mean) / variance.sqrt()).to(frames.x.dtype)


def _parts(sums: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weight, total and square, which lie side by side: (…, 1), (…, F), (…, F)."""
    num_features = (sums.shape[-1] - 1) // 2
    return sums[..., :1], sums[..., 1 : 1 + num_features], sums[..., 1 + num_features :]


def _fading_sums(x: Tensor, start: Tensor, fade: float, block: int = 64) -> Tensor:
    """y[0] = start, y[t + 1] = fade * y[t] + x[t]: (B, T, F) to (B, T + 1, F), a matrix product per block of frames."""
    steps = torch.arange(min(block, x.shape[1]), device=x.device, dtype=x.dtype)
    kernel = torch.where(steps[:, None] >= steps, fade ** (steps[:, None] - steps).clamp(min=0), 0.0)  # (C, C)
    carry = fade ** (steps + 1)
    pieces = [start[:, None]]
    for piece in torch.split(x, block, dim=1):
        count = piece.shape[1]
        sums = kernel[:count, :count] @ piece + carry[:count, None] * pieces[-1][:, -1:]
        pieces.append(sums)
    return torch.cat(pieces, 1)
