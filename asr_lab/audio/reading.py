"""Recordings on disk to waveforms, and what is wrong with those that don't open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from asr_lab.audio.content import content_of
from asr_lab.audio.decoding import AudioError as AudioError
from asr_lab.audio.decoding import Block, Recording
from asr_lab.audio.resampling import Audio, refused_rates, resample
from asr_lab.units import s_to_samples

Channel = int | Literal["mix"] | None
"""A channel's number from 0, or the mean of all (`"mix"` and None)."""

MAX_SAMPLES = 1 << 29
"""Most that is in memory at once: 3 hours at 48 kHz, 9 at 16 kHz."""


class AudioInfo(NamedTuple):
    """What is known of a file without its samples."""

    sample_rate: int
    """Hertz."""
    num_samples: int
    """Samples of each channel."""
    num_channels: int
    num_bytes: int
    """Size of the file."""
    content: bytes = b""
    """Fingerprint of what it holds: `content_of`."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate


def read_info(path: str | os.PathLike[str]) -> AudioInfo:
    """What a recording is: wav, flac, ogg (Vorbis, Opus), mp3, and whatever else libsndfile knows.

    Where the header only estimates how long it is (mp3, Ogg, an end that was not known when it was written), it is
    decoded to its end. AudioError for a file that is missing, empty, not audio, or shorter than it says by more than
    50 ms, so far as that shows (damage in the middle of others shows only in `read_audio`); a warning for less.
    """
    with Recording(path) as recording:
        count = recording.num_samples
        if count is None:
            count = sum(len(block) for block in recording.blocks())
        recording.warn()
        content = content_of(recording.file, len(recording.layout.parts))
        return AudioInfo(recording.sample_rate, count, recording.num_channels, recording.file.size, content)


def read_audio(
    path: str | os.PathLike[str],
    sample_rate: int,
    start_s: float = 0.0,
    duration_s: float | None = None,
    channel: Channel = None,
) -> Audio:
    """The waveform (S,) float32 at `sample_rate` Hz, full scale = 1, from `start_s` on for `duration_s` seconds.

    `channel` picks one channel of several; None and "mix" give their mean. AudioError for a file that `read_info`
    refuses, one that ends before its header says or before the wanted end, samples that are not numbers, a rate that
    cannot be resampled, and more samples than `MAX_SAMPLES`.
    """
    if start_s < 0 or (duration_s is not None and duration_s < 0):
        raise ValueError(f"start_s and duration_s must not be below 0, got {start_s} and {duration_s}")
    with Recording(path) as recording:
        rate = recording.sample_rate
        if reason := refused_rates(rate, sample_rate):
            raise AudioError(path, reason)
        audio = _at_once(recording, stretch_blocks(recording, start_s, duration_s, channel))
    return resample(audio, rate, sample_rate)


def stretch_blocks(
    recording: Recording, start_s: float = 0.0, duration_s: float | None = None, channel: Channel = None
) -> Iterator[Audio]:
    """The wanted samples (S,) of a recording at its own rate, block by block.

    AudioError as in `read_audio`; that the recording ends before the wanted end shows once it is reached.
    """
    path, rate = recording.path, recording.sample_rate
    start = s_to_samples(start_s, rate)
    wanted = None if duration_s is None else s_to_samples(duration_s, rate)
    count = 0
    for block in recording.blocks(start):
        left = len(block) if wanted is None else wanted - count
        found = pick(path, block[:left], channel)
        count += len(found)
        yield found
        if wanted is not None and count >= wanted:
            break
    if not count:
        lasts = sum(len(block) for block in recording.blocks()) / rate
        raise AudioError(path, f"lasts {lasts:.2f} s, and nothing is wanted behind {start_s:.2f} s")
    # A manifest's end may be rounded; what is missing must stay below what `matches` lets pass.
    if wanted is not None and wanted - count > tolerance_s(start_s + (duration_s or 0.0)) * rate:
        ends, asked = (start + count) / rate, (start + wanted) / rate
        raise AudioError(path, f"lasts {ends:.2f} s, but {asked:.2f} s are wanted")


def _at_once(recording: Recording, blocks: Iterator[Audio]) -> Audio:
    found: list[Audio] = []
    count = 0
    for block in blocks:
        found.append(block)
        count += len(block)
        if count > MAX_SAMPLES:
            hours = MAX_SAMPLES / recording.sample_rate / 3600
            raise AudioError(recording.path, f"lasts more than {hours:.1f} hours, too long to be read at once; cut it")
    return found[0] if len(found) == 1 else np.concatenate(found)


def pick(path: str | os.PathLike[str], block: Block, channel: Channel) -> Audio:
    """One channel (S,) of (S, channels), or their mean."""
    if block.shape[1] == 1 and channel in (None, "mix", 0):
        return block[:, 0]
    if channel is None or channel == "mix":
        mean: Audio = block.mean(axis=1, dtype=np.float32)
        return mean
    assert isinstance(channel, int)
    if not 0 <= channel < block.shape[1]:
        raise AudioError(path, f"has no channel {channel}, only {block.shape[1]} (counted from 0)")
    return np.ascontiguousarray(block[:, channel])


def tolerance_s(duration_s: float) -> float:
    """Seconds by which a declared length may be off: 0.1 s and 1 %."""
    return 0.1 + 0.01 * duration_s
