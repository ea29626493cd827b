"""Where live audio comes from: a recording, a microphone; each gives samples as they come."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from asr_lab.audio.decoding import AudioError, Recording
from asr_lab.audio.reading import Channel, read_audio, stretch_blocks
from asr_lab.audio.resampled_stream import ResampledStream
from asr_lab.errors import DataError, LabError, MissingPackageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_S = 0.1
"""A recording and a microphone are read in pieces of so many seconds."""


def file_samples(
    path: str | os.PathLike[str],
    sample_rate: int,
    start_s: float = 0.0,
    duration_s: float | None = None,
    channel: Channel = None,
) -> Iterator[Tensor]:
    """A recording, or a stretch of it, as a stream: the samples (S,) float32 at `sample_rate` that `read_audio` gives.

    Only a block of it is in memory, but for rates whose ratio takes too large a filter for a stream. AudioError as in
    `read_audio`, where damage shows when it is reached.
    """
    with Recording(path) as recording:
        recording.warn()
        try:
            stream = stream_of(path, recording.sample_rate, sample_rate)
        except AudioError:
            samples = torch.from_numpy(read_audio(path, sample_rate, start_s, duration_s, channel))
            yield from torch.split(samples, round(BLOCK_S * sample_rate))
            return
        size = max(1, round(BLOCK_S * recording.sample_rate))
        blocks = stretch_blocks(recording, start_s, duration_s, channel)
        pieces = (piece for block in blocks for piece in torch.split(torch.from_numpy(block), size))
        yield from resampled(pieces, stream)


def microphone_samples(sample_rate: int) -> Iterator[Tensor]:
    """The default microphone, for ever: samples (S,) float32 at `sample_rate`.

    MissingPackageError without the package sounddevice (extra `microphone`); LabError where there is no microphone.
    """
    sounddevice = _sounddevice()
    try:
        device_hz = round(sounddevice.query_devices(kind="input")["default_samplerate"])
    except (sounddevice.PortAudioError, ValueError) as error:
        raise LabError(f"no microphone: {error}; a recording or a pipe can be streamed instead") from error
    recorded: queue.SimpleQueue[NDArray[np.float32]] = queue.SimpleQueue()

    def take(samples: NDArray[np.float32], frames: int, time: Any, status: Any) -> None:
        recorded.put(samples[:, 0].copy())

    def blocks() -> Iterator[Tensor]:
        size = round(BLOCK_S * device_hz)
        with sounddevice.InputStream(device_hz, size, channels=1, dtype="float32", callback=take):
            while True:
                yield torch.from_numpy(recorded.get())

    try:
        yield from resampled(blocks(), stream_of("the microphone", device_hz, sample_rate))
    except sounddevice.PortAudioError as error:
        raise LabError(f"the microphone cannot be read: {error}") from error


def stream_of(source: str | os.PathLike[str], from_hz: int, to_hz: int) -> ResampledStream:
    """What resamples a source's blocks; AudioError naming it where that cannot be."""
    try:
        return ResampledStream(from_hz, to_hz)
    except DataError as error:
        raise AudioError(source, str(error)) from error


def resampled(blocks: Iterable[Tensor], stream: ResampledStream) -> Iterator[Tensor]:
    """Blocks (S,) at the stream's rate; its end comes too."""
    yield from map(stream.push, blocks)
    yield stream.finish()


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise MissingPackageError("a microphone needs sounddevice: pip install 'asr-lab[microphone]'") from error
    except OSError as error:  # its shared library
        raise MissingPackageError(f"sounddevice needs PortAudio (Debian: libportaudio2): {error}") from error
    return sounddevice
