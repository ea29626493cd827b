"""What a file is made of, as its headers and its size tell before anything is decoded."""

from __future__ import annotations

from typing import Protocol

import attrs

Piece = bytes | tuple[int, int]
"""Bytes to be read in a place, or the stretch `(start, end)` of a file."""


NO_LIMIT = 1 << 62


class LayoutError(ValueError):
    """A file whose headers make no sense; the message says why, without the path."""


class AudioBytes(Protocol):
    """A file that is read anywhere, without a position."""

    size: int

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on; fewer where the file ends."""
        ...


class Entries(Protocol):
    """Places within a stream from which it can be decoded, where a decoder's own seeking gives other samples."""

    def before(self, start: int, num_samples: int) -> tuple[tuple[Piece, ...], int] | None:
        """What a decoder is shown for the samples from `start` of `num_samples` on, and the place of its first one.

        Those before `start` may be wrong. None where decoding has to begin at the stream's start.
        """
        ...


@attrs.frozen
class AudioStream:
    """One stream of a file: what a decoder is shown in place of the file."""

    pieces: tuple[Piece, ...]
    lost_share: float = 0.0
    """Bytes that the headers promise and the file lacks, as a share of those that are there."""
    decode: str = ""
    """Why only decoding tells how many samples it holds; empty where its header does."""
    most_samples: int = NO_LIMIT
    """What a decoder gives beyond these is none of the stream's."""
    entries: Entries | None = None


@attrs.frozen
class Layout:
    """The streams of a file, in order."""

    name: str
    """The container's, as people call it."""
    parts: tuple[AudioStream, ...]
    notes: tuple[str, ...] = ()
    """What is odd, and was read all the same."""
    truncated: str = ""
    """Why audio is missing at its end; empty where the headers do not tell."""
