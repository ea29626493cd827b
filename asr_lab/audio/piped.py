"""Audio that comes through a pipe: its first bytes tell what it is, and raw samples are believed only if announced."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from asr_lab.audio.containers.chunked import was_unknown
from asr_lab.audio.containers.recognise import MAGIC_BYTES, is_mpeg_sync, name_of
from asr_lab.audio.decoding import MAX_CHANNELS, MAX_LOST_S, AudioError
from asr_lab.audio.live_sources import file_samples, resampled, stream_of

READ_BYTES = 1 << 15
"""Most that is taken out of a pipe at once; what is there is taken without waiting for more."""
PCM, EXTENSIBLE = 1, 0xFFFE
"""Format tags of a wav header."""
MAX_CHUNK_BYTES = 1 << 24
"""Most of a wav's chunk before its samples."""
MAX_SPOOLED_BYTES = 1 << 32
"""Most that is kept of a pipe whose container has to be there before it is decoded."""
RAW_HINT = "raw 16-bit little-endian mono samples need their rate: --sample-rate HZ"


def pipe_samples(pipe: BinaryIO, sample_rate: int, raw_hz: int | None = None) -> Iterator[Tensor]:
    """What comes through a pipe: samples (S,) float32 at `sample_rate`.

    A wav of 16-bit samples and, where `raw_hz` says their rate, raw signed 16-bit little-endian mono samples are given
    as they come; any other container that `file_samples` reads once the pipe ends. `pipe` has `read` and, where it
    gives what is there without waiting for more, `read1`. AudioError for what begins like no container where `raw_hz`
    is None, for a file that cannot be read, and for a rate that cannot be resampled.
    """
    head = pipe.read(4)
    if head != b"RIFF":
        head += pipe.read(MAGIC_BYTES - len(head))
    rest, name = _Prefixed(head, pipe), name_of(head)
    if head == b"RIFF" and (wav := _read_header(rest)) is not None:
        yield from resampled(_wav_blocks(rest, wav), stream_of("stdin", wav.sample_rate, sample_rate))
    elif raw_hz is not None and not name:
        yield from resampled(_decoded(_pieces(rest, None), 1), stream_of("stdin", raw_hz, sample_rate))
    elif not head:
        raise AudioError("stdin", "is empty (0 bytes)")
    elif not name and not is_mpeg_sync(head):
        raise AudioError("stdin", f"begins like no container that is known; {RAW_HINT}")
    else:
        yield from _spooled_samples(rest, sample_rate, name)


def _spooled_samples(pipe: _Prefixed, sample_rate: int, name: str) -> Iterator[Tensor]:
    """What a container holds whose decoder needs the whole file: it is there once the pipe ends."""
    with tempfile.NamedTemporaryFile(prefix="asrlab-stdin-") as file:
        size = 0
        while piece := pipe.some(READ_BYTES):
            size += file.write(piece)
            if size > MAX_SPOOLED_BYTES:
                raise AudioError("stdin", f"is more than {MAX_SPOOLED_BYTES:,} bytes of {name}; stream 16-bit wav")
        file.flush()
        try:
            yield from file_samples(file.name, sample_rate)
        except AudioError as error:
            reason = f"looks like {name}, and {error.reason}" if name else f"{error.reason}; {RAW_HINT}"
            raise AudioError("stdin", reason) from error


class _Wav(NamedTuple):
    """What a wav's header says."""

    sample_rate: int
    num_channels: int
    num_bytes: int | None
    """Bytes of samples; None = as many as come."""


class _Prefixed:
    """A pipe of which something was read already."""

    def __init__(self, head: bytes, pipe: BinaryIO) -> None:
        self._head, self._pipe = head, pipe

    def put_back(self, content: bytes) -> None:
        """To be read again before all else."""
        self._head = content + self._head

    def read(self, count: int) -> bytes:
        """So many bytes; fewer at the end."""
        found, self._head = self._head[:count], self._head[count:]
        return found + self._pipe.read(count - len(found)) if len(found) < count else found

    def some(self, count: int) -> bytes:
        """At most so many bytes: what is there, without waiting for more. None at the end."""
        if self._head:
            return self.read(min(count, len(self._head)))
        found: bytes = getattr(self._pipe, "read1", self._pipe.read)(count)
        return found


def _wav_blocks(pipe: _Prefixed, wav: _Wav) -> Iterator[Tensor]:
    """The samples of a wav, and of those that follow it in the same pipe."""
    yield from _decoded(_pieces(pipe, wav.num_bytes, wav.sample_rate * wav.num_channels * 2), wav.num_channels)
    if wav.num_bytes is None:
        return
    pipe.read(wav.num_bytes % 2)
    while len(head := pipe.read(8)) == 8:
        if head[:4] != b"RIFF":
            left = struct.unpack("<I", head[4:])[0]
            left += left % 2
            while left > 0 and (skipped := pipe.some(min(left, READ_BYTES))):
                left -= len(skipped)
            continue
        pipe.put_back(head)
        following = _read_header(pipe)
        if following is None or following.sample_rate != wav.sample_rate:
            raise AudioError("stdin", "holds a second wav of another form or rate; convert it to one")
        yield from _wav_blocks(pipe, following)


def _read_header(pipe: _Prefixed) -> _Wav | None:
    """The header of a wav up to its first sample; None, and nothing of it is gone, where it isn't of 16-bit samples."""
    seen = _exactly(pipe, 12)  # `RIFF`, the size of the whole, and `WAVE`
    shape: tuple[int, int] | None = None
    while True:
        head = _exactly(pipe, 8)
        kind, size = struct.unpack("<4sI", head)
        if kind == b"data":
            break
        if size > MAX_CHUNK_BYTES:
            raise AudioError("stdin", f"has a chunk of {size:,} bytes before its samples; {MAX_CHUNK_BYTES:,} are read")
        content = _exactly(pipe, size + size % 2)
        seen += head + content
        if kind == b"fmt ":
            shape = _shape(content, size)
            if shape is None:
                pipe.put_back(seen)
                return None
    if shape is None:
        raise AudioError("stdin", "is a wav whose header does not say what its samples are")
    return _Wav(*shape, None if size == 0 or was_unknown(size) else size)


def _shape(content: bytes, size: int) -> tuple[int, int] | None:
    """Rate and channels of a wav of 16-bit samples; None where it is another."""
    if size < 16:
        raise AudioError("stdin", f"is a wav whose header describes its samples in {size} bytes; it takes 16")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    subformat = struct.unpack("<H", content[24:26])[0] if tag == EXTENSIBLE and size >= 26 else tag
    if not 0 < channels <= MAX_CHANNELS:
        raise AudioError("stdin", f"has {channels:,} channels; up to {MAX_CHANNELS} can be read")
    return (rate, channels) if subformat == PCM and bits == 16 else None


def _exactly(pipe: _Prefixed, count: int) -> bytes:
    content = pipe.read(count)
    if len(content) < count:
        raise AudioError("stdin", "ends within the header of a wav")
    return content


def _pieces(pipe: _Prefixed, num_bytes: int | None, bytes_per_s: int = 1) -> Iterator[bytes]:
    """What comes, up to `num_bytes`; AudioError at the end where more than `MAX_LOST_S` of them did not come."""
    left = num_bytes
    while left is None or left > 0:
        piece = pipe.some(READ_BYTES if left is None else min(left, READ_BYTES))
        if not piece:
            break
        left = None if left is None else left - len(piece)
        yield piece
    if left and left > MAX_LOST_S * bytes_per_s:
        raise AudioError(
            "stdin", f"is truncated: the last {left / bytes_per_s:.2f} s that its header promises are absent"
        )


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
