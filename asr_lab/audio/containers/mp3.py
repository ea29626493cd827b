"""The frames of an MP3 file, counted: its headers say at best how many the encoder wrote.

Source: ISO/IEC 11172-3, section 2.4.1.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from asr_lab.audio.containers.layout import AudioBytes, AudioStream, Layout, LayoutError, Piece
from asr_lab.audio.containers.mp3_tags import VBRI_START, delays, promised_frames, with_counts

BUFFER_BYTES = 1 << 20
MAX_FIRST_BYTES = 1 << 16
"""The first frame begins within so many bytes, or the file is something else."""
AGREEING = 3
"""So many frames after one another, or the file's end, show that a first one is no chance."""
SLACK_FRAMES = 1
"""Frames that a tag may promise and a file lack: some encoders count the tag's own."""
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KBPS = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
ESTIMATE = 1.1
"""A decoder's estimate of a stream's length is made to be so much more than it."""
DECODER_DELAY = 529
"""Samples that mpg123 leaves out at the start of a stream with a tag, beside the encoder's own."""
WARM_UP_FRAMES = 64
"""A frame's bits begin up to 511 bytes before it: in the smallest frames, of 24 bytes, 46 of them."""


class _Header(NamedTuple):
    """What the four bytes at a frame's start say."""

    size: int
    """Bytes of the frame."""
    samples: int
    """Samples of each channel."""
    kind: tuple[int, int, int, int]
    """Version, layer, rate in Hz and channels: equal in all frames of a stream."""
    tag: int
    """Where in the frame a Xing tag would stand; 0 in layers that have none."""


class _Stream:
    """Frames of one kind after one another, tags left out."""

    def __init__(self, kind: tuple[int, int, int, int], tag: bytes) -> None:
        self.kind, self.tag = kind, tag
        """The frame that says how many follow; empty where there is none."""
        self.stretches: list[list[int]] = []
        self.offsets = array("Q")
        """Where each frame begins."""
        self.samples = 0
        """Of each frame."""

    def add(self, start: int, header: _Header) -> None:
        """Take a frame."""
        end = start + header.size
        if self.stretches and self.stretches[-1][1] == start:
            self.stretches[-1][1] = end
        else:
            self.stretches.append([start, end])
        self.offsets.append(start)
        self.samples = header.samples

    @property
    def num_frames(self) -> int:
        """Frames, tags left out."""
        return len(self.offsets)

    @property
    def counting_tag(self) -> bytes:
        """The frame that counts the others, put right; empty where it has none, or one that does not."""
        return with_counts(self.tag, self.num_frames, sum(end - start for start, end in self.stretches))

    def untagged(self, first: int) -> tuple[Piece, ...]:
        """What makes a decoder take all frames from the `first` on.

        Without a tag, it takes as many as the file would hold if all were like the one it begins with: it is shown the
        stream so often that this is enough. A tag that were made for it would cost the first 529 samples.
        """
        begin = self.offsets[first]
        shown: list[Piece] = [(max(start, begin), end) for start, end in self.stretches if end > begin]
        size = (
            min(next(end for start, end in self.stretches if end > begin), *self.offsets[first + 1 : first + 2]) - begin
        )
        there = sum(end - max(start, begin) for start, end in self.stretches if end > begin)
        return tuple(shown * math.ceil(ESTIMATE * (self.num_frames - first) * size / there))

    def before(self, start: int, num_samples: int) -> tuple[tuple[Piece, ...], int] | None:
        """`Entries`: some frames before the wanted one, whose bits and filters reach into it.

        The synthesis filter may add in another order than from the start, which changes the last bit.
        """
        left_out = 0
        if self.counting_tag:
            delay, padding = delays(self.tag)
            left_out = delay + DECODER_DELAY
            if num_samples != self.num_frames * self.samples - left_out - max(0, padding - DECODER_DELAY):
                return None
        first = (start + left_out) // self.samples - WARM_UP_FRAMES
        if first <= 0:
            return None
        return self.untagged(first), first * self.samples - left_out


def mp3_layout(source: AudioBytes, start: int) -> Layout:
    """The streams of an MP3 file whose first tag ends at `start`.

    A decoder is shown the frames alone, after a tag, if there is one, that counts them: what it would make of a wrong
    tag, of none, of what stands between frames and of a second stream does not matter then. LayoutError where no
    frame is found.
    """
    found = _Walk(source, start)
    streams = [s for s in found.streams() if s.num_frames]
    if not streams:
        raise LayoutError("is not audio of a kind that is read (wav, flac, ogg, mp3, aiff, au, caf, sph)")
    last = streams[-1]
    promised = promised_frames(last.tag)
    missing = (promised or 0) - last.num_frames
    truncated = ""
    if missing > SLACK_FRAMES and last.tag:
        truncated = f"{last.num_frames} of the {promised} frames that its header counts are there"
    notes = [f"{found.junk:,} bytes in it are no MP3 frames"] if found.junk else []
    notes += ["its last frame is cut"] if found.is_cut else []
    return Layout("MP3", tuple(_part(s) for s in streams), tuple(notes), truncated)


class _Walk:
    """Goes from frame to frame."""

    def __init__(self, source: AudioBytes, start: int) -> None:
        self.source, self.start = source, start
        self.junk = 0
        """Bytes that belong to nothing."""
        self.is_cut = False
        """Whether the file ends within a frame."""
        self._headers: dict[int, _Header | None] = {}
        self._buffer, self._base = b"", 0

    def streams(self) -> Iterator[_Stream]:
        """Each stream once it is over."""
        stream: _Stream | None = None
        position = self.start
        while (found := self._next(position, stream.kind if stream else None)) is not None:
            position, header = found
            end = position + header.size
            tag = self._tag(position, header)
            if stream is None or stream.kind != header.kind or tag:
                if stream is not None:
                    yield stream
                stream = _Stream(header.kind, tag)
            if not tag:
                stream.add(position, header)
            position = end
        if stream is not None:
            yield stream

    def _next(self, position: int, kind: tuple[int, int, int, int] | None) -> tuple[int, _Header] | None:
        """The next whole frame: where it begins and what its header says."""
        header = self._header(position)
        if header is not None and position + header.size <= self.source.size:
            # One that is like those before it needs no others as witnesses.
            if header.kind == kind or self._agree(position, header):
                return position, header
        elif header is not None and kind == header.kind:
            self.is_cut = True  # the file ends within it
            return None
        position = min(position + self._tag_bytes(position), self.source.size)
        return self._search(position, kind is None)

    def _search(self, start: int, is_first: bool) -> tuple[int, _Header] | None:
        position, end = start, min(start + MAX_FIRST_BYTES, self.source.size) if is_first else self.source.size
        while (position := self._find_sync(position, end)) < end:
            header = self._header(position)
            if header is not None and position + header.size <= self.source.size and self._agree(position, header):
                self.junk += position - start
                return position, header
            position += 1
        self.junk += end - start
        return None

    def _find_sync(self, position: int, end: int) -> int:
        """The next byte of 8 ones."""
        while position < end:
            self._bytes(position, 1)
            found = self._buffer.find(b"\xff", position - self._base)
            if found >= 0:
                return self._base + found
            position = self._base + len(self._buffer)
        return end

    def _agree(self, position: int, header: _Header) -> bool:
        """Whether frames like this one follow it."""
        for _ in range(AGREEING - 1):
            position += header.size
            if position >= self.source.size or self._bytes(position, 3) in (b"TAG", b"APE", b"ID3"):
                return True
            following = self._header(position)
            if following is None or following.kind != header.kind:
                return False
            header = following
        return True

    def _header(self, position: int) -> _Header | None:
        content = self._bytes(position, 4)
        if len(content) < 4 or content[0] != 0xFF:
            return None
        word = int.from_bytes(content, "big")
        if word not in self._headers:
            self._headers[word] = _header_of(word)
        return self._headers[word]

    def _tag(self, position: int, header: _Header) -> bytes:
        """The whole frame, where it is one that counts the others."""
        if not header.tag:
            return b""
        at = position + header.tag
        if self._bytes(at, 4) in (b"Xing", b"Info") or self._bytes(position + VBRI_START, 4) == b"VBRI":
            return self._bytes(position, header.size)
        return b""

    def _tag_bytes(self, position: int) -> int:
        """Bytes of a tag that stands between frames or behind them."""
        head = self._bytes(position, 32)
        if head[:3] == b"ID3":
            return id3_bytes(head)
        if head[:3] == b"TAG":
            return 128
        if head[:8] == b"APETAGEX":
            size, flags = struct.unpack_from("<I4xI", head, 12)
            return 32 if not flags & 1 << 29 else min(size + 32, self.source.size)
        return 0

    def _bytes(self, position: int, count: int) -> bytes:
        first = position - self._base
        if not 0 <= first <= len(self._buffer) - count:
            self._base, first = position, 0
            self._buffer = self.source.read(position, max(BUFFER_BYTES, count))
        return self._buffer[first : first + count]


def id3_bytes(head: bytes) -> int:
    """Bytes of the ID3v2 tag that begins with these ten."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if head[5] & 0x10 else 0)


def _header_of(word: int) -> _Header | None:
    version, layer = word >> 19 & 3, 4 - (word >> 17 & 3)
    rate_index, kbps_index = word >> 10 & 3, word >> 12 & 15
    if word >> 21 != 0x7FF or version == 1 or layer == 4 or rate_index == 3 or kbps_index in (0, 15) or word & 3 == 2:
        return None
    rate, channels = _RATES_HZ[version][rate_index], 1 if word >> 6 & 3 == 3 else 2
    bits = 1000 * _KBPS[version == 3, layer][kbps_index]
    padding = word >> 9 & 1
    if layer == 1:
        size, samples = (12 * bits // rate + padding) * 4, 384
    else:
        samples = 1152 if layer == 2 or version == 3 else 576
        size = samples // 8 * bits // rate + padding
    return _Header(size, samples, (version, layer, rate, channels), 4 + _side_bytes(version, channels) * (layer == 3))


def _side_bytes(version: int, channels: int) -> int:
    """Bytes of layer III's side information."""
    return (17 if channels == 1 else 32) if version == 3 else (9 if channels == 1 else 17)


def _part(stream: _Stream) -> AudioStream:
    reason = "its headers only estimate"
    stretches: list[Piece] = [(start, end) for start, end in stream.stretches]
    if tag := stream.counting_tag:
        return AudioStream((tag, *stretches), decode=reason, entries=stream)
    count = stream.num_frames * stream.samples
    return AudioStream(stream.untagged(0), decode=reason, most_samples=count, entries=stream)
