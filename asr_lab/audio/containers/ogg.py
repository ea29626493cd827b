"""The pages of an Ogg file: where one logical stream ends and the next begins. Source: RFC 3533."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from asr_lab.audio.containers.layout import AudioBytes, AudioStream, Layout, LayoutError

BUFFER_BYTES = 1 << 18
HEAD_BYTES = 27
BEGINS, ENDS = 2, 4
"""Flags of a page."""


class _Page(NamedTuple):
    start: int
    end: int
    flags: int


def ogg_layout(source: AudioBytes, start: int) -> Layout:
    """The links of an Ogg file: a page that begins a stream, after others that do not, begins a link."""
    links: list[list[int]] = []
    begins, ends, junk, expected = False, False, 0, start
    for page in _pages(source, start):
        if page.end > source.size:
            break
        junk += page.start - expected
        expected = page.end
        if page.flags & BEGINS and not begins:
            links.append([page.start, page.end])
        if links:
            links[-1][1] = page.end
        begins, ends = bool(page.flags & BEGINS), bool(page.flags & ENDS)
    if not links:
        raise LayoutError("is truncated or damaged: no Ogg stream begins in it")
    notes = [f"{junk:,} bytes in it belong to no Ogg page"] if junk else []
    truncated = ""
    if not ends:
        rest = source.size - expected
        if source.read(expected, 4)[:4] == b"OggS"[: min(4, rest)] and rest:
            truncated = "its last page is cut, and its stream has no end"
        else:
            notes.append("its stream has no end: it may have been cut")
    parts = tuple(AudioStream(((a, b),), decode="its headers only estimate") for a, b in links)
    return Layout("Ogg", parts, tuple(notes), truncated)


def _pages(source: AudioBytes, start: int) -> Iterator[_Page]:
    """Every page from `start` on; the last one may end behind the file."""
    position, base, buffer = start, start, b""
    while position < source.size:
        if position < base or position + HEAD_BYTES + 255 > base + len(buffer):
            base, buffer = position, source.read(position, BUFFER_BYTES)
        at = position - base
        if buffer[at : at + 4] != b"OggS":
            found = buffer.find(b"OggS", at + 1)
            if found >= 0:
                position = base + found
            elif base + len(buffer) >= source.size:
                return
            else:
                position = base + len(buffer) - 3
            continue
        if len(buffer) < at + HEAD_BYTES or len(buffer) < at + HEAD_BYTES + buffer[at + 26]:
            yield _Page(position, source.size + 1, 0)
            return
        table = buffer[at + HEAD_BYTES : at + HEAD_BYTES + buffer[at + 26]]
        end = position + HEAD_BYTES + len(table) + sum(table)
        yield _Page(position, end, buffer[at + 5])
        position = end
