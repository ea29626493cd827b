"""Where live audio comes from: a recording, a pipe, a microphone; each gives samples as they come."""

from __future__ import annotations

import os
import queue
import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from asr_lab.audio.reading import AudioError, read_info
from asr_lab.audio.resampled_stream import ResampledStream
from asr_lab.errors import DataError, LabError, MissingPackageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_S = 0.1
"""A recording and a microphone are read in pieces of so many seconds."""
READ_BYTES = 1 << 15
"""Most that is taken out of a pipe at once; what is there is taken without waiting for more."""
PCM, EXTENSIBLE = 1, 0xFFFE
"""Format tags of a wav header."""
MAX_WAV_BYTES = 0x7FFFF000
"""A header that promises more stands for an end that was not known when it was written."""


def file_samples(path: str | os.PathLike[str], sample_rate: int) -> Iterator[Tensor]:
    """A recording as a stream: samples (S,) float32 at `sample_rate`, channels mixed.

    Only a block of it is in memory. AudioError as in `read_audio`, where damage in the middle shows when it is reached.
    """
    import soundfile

    info = read_info(path)
    stream = _stream(path, info.sample_rate, sample_rate)

    def blocks() -> Iterator[Tensor]:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            for block in file.blocks(round(BLOCK_S * info.sample_rate), dtype="float32", always_2d=True):
                if not np.isfinite(block.sum()):
                    raise AudioError(path, "holds samples that are not finite numbers")
                yield torch.from_numpy(block.mean(axis=1, dtype=np.float32))

    try:
        yield from _resampled(blocks(), stream)
    except soundfile.LibsndfileError as error:
        raise AudioError(path, "is truncated or damaged") from error


def pipe_samples(pipe: BinaryIO, sample_rate: int, raw_hz: int | None = None) -> Iterator[Tensor]:
    """What comes through a pipe, as it comes: samples (S,) float32 at `sample_rate`.

    Raw signed 16-bit little-endian mono at `raw_hz` (None = `sample_rate`), or a wav of 16-bit samples, whose header
    says its rate; its channels are mixed. `pipe` has `read` and, where it gives what is there without waiting for more,
    `read1`. AudioError for a wav of another form, and for a rate that cannot be resampled.
    """
    head = pipe.read(4)
    if head == b"RIFF":
        wav = _read_header(pipe)
        blocks = _decoded(_pieces(pipe, b"", wav.num_bytes), wav.num_channels)
        yield from _resampled(blocks, _stream("stdin", wav.sample_rate, sample_rate))
    else:
        stream = _stream("stdin", raw_hz or sample_rate, sample_rate)
        yield from _resampled(_decoded(_pieces(pipe, head, None), 1), stream)


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
        yield from _resampled(blocks(), _stream("the microphone", device_hz, sample_rate))
    except sounddevice.PortAudioError as error:
        raise LabError(f"the microphone cannot be read: {error}") from error


def _stream(source: str | os.PathLike[str], from_hz: int, to_hz: int) -> ResampledStream:
    try:
        return ResampledStream(from_hz, to_hz)
    except DataError as error:
        raise AudioError(source, str(error)) from error


def _resampled(blocks: Iterable[Tensor], stream: ResampledStream) -> Iterator[Tensor]:
    """Blocks (S,) at the stream's rate; its end comes too."""
    yield from map(stream.push, blocks)
    yield stream.finish()


class _Wav(NamedTuple):
    """What a wav's header says."""

    sample_rate: int
    num_channels: int
    num_bytes: int | None
    """Bytes of samples; None = as many as come."""


def _read_header(pipe: BinaryIO) -> _Wav:
    """The header after `RIFF`, up to the first sample."""
    _exactly(pipe, 8)  # the size of the whole, and `WAVE`
    shape: tuple[int, int] | None = None
    while True:
        kind, size = struct.unpack("<4sI", _exactly(pipe, 8))
        if kind == b"data":
            break
        content = _exactly(pipe, size + size % 2)
        if kind == b"fmt ":
            tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
            subformat = struct.unpack("<H", content[24:26])[0] if tag == EXTENSIBLE and size >= 26 else tag
            if subformat != PCM or bits != 16 or not channels or not rate:
                raise AudioError("stdin", f"is a wav of format {subformat} with {bits} bits; only 16-bit PCM is read")
            shape = (rate, channels)
    if shape is None:
        raise AudioError("stdin", "is a wav whose header does not say what its samples are")
    return _Wav(*shape, size if 0 < size < MAX_WAV_BYTES else None)


def _exactly(pipe: BinaryIO, count: int) -> bytes:
    content = pipe.read(count)
    if len(content) < count:
        raise AudioError("stdin", "ends within the header of a wav")
    return content


def _pieces(pipe: BinaryIO, first: bytes, num_bytes: int | None) -> Iterator[bytes]:
    """What comes, `first` before it, up to `num_bytes`."""
    read = getattr(pipe, "read1", pipe.read)
    yield first
    left = num_bytes
    while left is None or left > 0:
        piece = read(READ_BYTES if left is None else min(left, READ_BYTES))
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece


def _decoded(pieces: Iterable[bytes], num_channels: int) -> Iterator[Tensor]:
    """Signed 16-bit samples in pieces of any size, channels mixed: (S,) each. Half a sample at the end is left out."""
    width = 2 * num_channels
    rest = b""
    for piece in pieces:
        piece = rest + piece
        whole = len(piece) // width * width
        rest = piece[whole:]
        if whole:
            samples = np.frombuffer(piece[:whole], dtype="<i2").reshape(-1, num_channels)
            yield torch.from_numpy(samples.mean(axis=1, dtype=np.float32) / 32768)


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise MissingPackageError("a microphone needs sounddevice: pip install 'asr-lab[microphone]'") from error
    except OSError as error:  # its shared library
        raise MissingPackageError(f"sounddevice needs PortAudio (Debian: libportaudio2): {error}") from error
    return sounddevice
