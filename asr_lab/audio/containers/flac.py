"""The streams of a FLAC file. Source: RFC 9639."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from asr_lab.audio.containers.layout import AudioBytes, AudioStream, Layout, LayoutError

STREAM_HEAD = b"fLaC"
INFO_BYTES = 34
BUFFER_BYTES = 1 << 20


class StreamInfo(NamedTuple):
    """What the first metadata block says."""

    num_samples: int
    """Of each channel; 0 = not known when it was written."""
    md5: bytes
    """Of the decoded samples; zeros = not computed."""


def stream_info(source: AudioBytes, start: int) -> StreamInfo:
    """The first metadata block of the stream that begins at `start`; LayoutError where there is none."""
    head = source.read(start, 8 + INFO_BYTES)
    if len(head) < 8 + INFO_BYTES or head[:4] != STREAM_HEAD or head[4] & 127 or head[5:8] != b"\0\0\x22":
        raise LayoutError("is truncated or malformed: its FLAC header is not whole")
    return StreamInfo(int.from_bytes(head[21:26], "big") & (1 << 36) - 1, head[26:42])


def flac_layout(source: AudioBytes, start: int) -> Layout:
    """The streams of a FLAC file; a decoder would take the end of the first for the file's."""
    starts = [start, *_following(source, start + len(STREAM_HEAD))]
    parts = []
    for begin, end in zip(starts, [*starts[1:], source.size], strict=True):
        unknown = "" if stream_info(source, begin).num_samples else "its header was written before its end was known"
        parts.append(AudioStream(((begin, end),), decode=unknown))
    return Layout("FLAC", tuple(parts))


def _following(source: AudioBytes, position: int) -> Iterator[int]:
    """Where further streams begin."""
    mark = STREAM_HEAD + b"\0\0\0\x22"
    while content := source.read(position, BUFFER_BYTES):
        found = content.find(mark)
        if found >= 0:
            if len(source.read(position + found, 8 + INFO_BYTES)) == 8 + INFO_BYTES:
                yield position + found
            position += found + len(mark)
        elif len(content) < BUFFER_BYTES:
            return
        else:
            position += len(content) - len(mark) + 1
