"""A stretch of a recording in blocks: what is in memory does not grow with it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch
from torch import Tensor

from asr_lab.audio.live_sources import file_samples
from asr_lab.audio.reading import Channel, read_audio, read_info, tolerance_s
from asr_lab.units import s_to_samples

BLOCK_S = 10.0
LONG_S = 60.0
"""Up to so many seconds are read at once."""


def audio_blocks(
    path: str | os.PathLike[str],
    sample_rate: int,
    start_s: float = 0.0,
    duration_s: float | None = None,
    channel: Channel = None,
) -> Iterator[Tensor]:
    """The samples of `read_audio`, with its arguments and errors, in blocks (S,) float32."""
    info = read_info(path)
    end_s = info.duration_s if duration_s is None else start_s + duration_s
    if end_s - start_s <= LONG_S or end_s > info.duration_s + tolerance_s(end_s):
        yield from cut_blocks(
            torch.from_numpy(read_audio(path, sample_rate, start_s, duration_s, channel)), sample_rate
        )
    else:
        yield from file_samples(path, sample_rate, start_s, duration_s, channel)


def cut_blocks(samples: Tensor, sample_rate: int) -> Iterator[Tensor]:
    """Samples (S,) that are there already, in blocks."""
    size = s_to_samples(BLOCK_S, sample_rate)
    return (samples[start : start + size] for start in range(0, len(samples), size))
