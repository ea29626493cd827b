"""The frame before an MP3 stream's others that counts them: Xing's, with LAME's part, and Fraunhofer's VBRI.

Source: http://gabriel.mp3-tech.org/mp3infotag.html.
"""

from __future__ import annotations

import struct

FRAMES_FLAG, BYTES_FLAG = 1, 2
LAME_DELAYS = 21
"""Where in LAME's part of a tag its delays stand."""
VBRI_START, VBRI_END = 36, 62


def promised_frames(tag: bytes) -> int | None:
    """Frames that a tag counts, its own left out; None where it doesn't say."""
    place = _xing(tag)
    if place >= 0 and len(tag) >= place + 12:
        flags, frames = struct.unpack_from(">II", tag, place + 4)
        return int(frames) if flags & FRAMES_FLAG else None
    if tag[VBRI_START : VBRI_START + 4] == b"VBRI" and len(tag) >= VBRI_END:
        return int(struct.unpack_from(">I", tag, VBRI_START + 14)[0])
    return None


def delays(tag: bytes) -> tuple[int, int]:
    """Samples that LAME's part of a tag says were put before and after the audio; zeros where there is none."""
    place = _xing(tag)
    flags = int.from_bytes(tag[place + 4 : place + 8], "big")
    at = place + 8 + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit) + LAME_DELAYS
    both = int.from_bytes(tag[at : at + 3].ljust(3, b"\0"), "big")
    return both >> 12, both & 0xFFF


def with_counts(tag: bytes, num_frames: int, num_bytes: int) -> bytes:
    """A Xing tag whose counts are put right; empty where there is none, or one that does not count."""
    place = _xing(tag)
    if place < 0 or len(tag) < place + 16 or promised_frames(tag) is None:
        return b""
    frame = bytearray(tag)
    struct.pack_into(">I", frame, place + 8, num_frames)
    if frame[place + 7] & BYTES_FLAG:
        struct.pack_into(">I", frame, place + 12, min(num_bytes + len(frame), 0xFFFFFFFF))
    return bytes(frame)


def _xing(tag: bytes) -> int:
    """Where its mark stands; -1 where there is none."""
    return max(tag.find(b"Xing", 0, 64), tag.find(b"Info", 0, 64))
