"""Normalising each feature's level: over the utterance, over its speaker, or as the stream goes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from asr_lab.streaming import Frames

EPSILON = 1e-5
"""Added to a standard deviation (NeMo's)."""
SAMPLED_FRAMES = 4
"""A feature's rank in all bands is taken in one of so many frames."""
COUNTED_AT_ONCE = 256
"""Values that are there more than once whose equals are counted together."""


def utterance_level(frames: Frames) -> Tensor:
    """Each feature with mean 0 and deviation 1 over its utterance, as NeMo's `per_feature`: (B, T, F)."""
    x = frames.valid()
    mask = frames.mask()[..., None].to(x.dtype)
    count = frames.lengths[:, None, None].to(x.dtype)
    mean = x.sum(1, keepdim=True) / count.clamp(min=1)
    centred = (x - mean) * mask
    deviation = (centred.square().sum(1, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
    return centred / (deviation + EPSILON)


class SpeakerState(NamedTuple):
    """What has been heard of each row's speaker."""

    features: Tensor  # (B, N, F), infinity where a row has none


def fresh_speaker_state(like: Tensor, batch: int, num_features: int) -> SpeakerState:
    """Nobody heard; on the device of `like`."""
    return SpeakerState(like.new_zeros(batch, 0, num_features))


def acquainted(state: SpeakerState, frames: Frames) -> SpeakerState:
    """These frames heard as well."""
    return SpeakerState(torch.cat([state.features, heard_features(frames)], 1))


def heard_features(frames: Frames) -> Tensor:
    """The features (B, T, F), infinity in the padding."""
    return frames.x if frames.full else torch.where(frames.mask()[..., None], frames.x, torch.inf)


def speaker_level(state: SpeakerState, frames: Frames, prior: float) -> Tensor:
    """Each feature's rank, from -1 to 1, among those of its band that the state holds: (B, T, F) of `frames`.

    Histogram equalisation (de la Torre et al. 2005) to a uniform distribution: whatever a microphone, a room, a noise
    or a voice does to a band as a whole is taken away, and not its mean alone. Of a band of which few frames were
    heard, which are those of a word and not yet those of a speaker, less is taken: a value counts by its rank in its
    own band as often as frames were heard, and `prior` times by its rank in all bands together (of every
    `SAMPLED_FRAMES`th frame), which levels the loudness.
    """
    x = frames.valid().transpose(1, 2)  # (B, F, T)
    count = state.features[..., 0].isfinite().sum(1)[:, None, None].clamp(min=1)
    own = ranks(state.features.transpose(1, 2), x) / count
    sampled = state.features[:, ::SAMPLED_FRAMES].flatten(1)
    overall = ranks(sampled, x.flatten(1)).view_as(x) / sampled.isfinite().sum(1)[:, None, None].clamp(min=1)
    rank = (count * own + prior * overall) / (count + prior)
    return frames.with_x((2 * rank - 1).transpose(1, 2)).valid()


def ranks(values: Tensor, x: Tensor) -> Tensor:
    """How many of the values (…, N), at least one, lie below each x (…, T), equal ones counted half."""
    ordered, x = _sorted(values), x.contiguous()
    below = torch.searchsorted(ordered, x)
    last = ordered.shape[-1] - 1
    equal = (ordered.gather(-1, below.clamp(max=last)) == x) & (below <= last)
    lowest = ordered[..., :1]
    num_lowest = torch.searchsorted(ordered, lowest.contiguous(), right=True)
    up_to = torch.where(x == lowest, num_lowest, below + equal)
    # The lowest value, a floor, is often there many times; of the others hardly one is there twice.
    twice = equal & (x != lowest) & (below < last) & (ordered.gather(-1, (below + 1).clamp(max=last)) == x)
    for places in torch.split(twice.nonzero(), COUNTED_AT_ONCE):
        *rows, column = places.unbind(1)
        equals = x[(*rows, column)][:, None]
        up_to[(*rows, column)] = torch.searchsorted(ordered[tuple(rows)], equals, right=True)[:, 0]
    return (below + up_to).to(x.dtype) / 2


def _sorted(values: Tensor) -> Tensor:
    """Each row in ascending order; on processors by numpy, whose vectorised sort takes a thirtieth of torch's time."""
    if values.device.type != "cpu":
        return values.sort(-1)[0].contiguous()
    return torch.from_numpy(np.sort(values.detach().contiguous().numpy(), axis=-1))


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
    """Each feature against the mean and deviation of what was heard so far, the present frame included.

    A frame that is `horizon_frames` old counts 1/e. The variance starts as if `prior_frames` with `prior_deviation`
    had been heard, so that the first frames are not blown up. Returns the new state and (B, T, F).
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
