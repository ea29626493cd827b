"""Old formats that libsndfile reads: VOC, AVR, and those whose headers do not say how much follows."""

from __future__ import annotations

import struct

from asr_lab.audio.containers.layout import AudioBytes, AudioStream, Layout, LayoutError

VOC, AVR = b"Creative Voice File", b"2BIT"
UNSAID = (b" paf", b"fap ", b"PVF1\n", b"\x64\xa3", b"\0\0\xa3\x64", b"\0\1\xa3\x64", b"\0\2\xa3\x64")
"""How PAF, PVF and IRCAM begin."""
AVR_HEAD_BYTES = 128
MAX_BLOCKS = 10_000


def is_old(head: bytes) -> bool:
    """Whether a file that begins so is read here."""
    return head.startswith((VOC, AVR, *UNSAID))


def old_layout(source: AudioBytes, start: int) -> Layout:
    """The stream of an old file."""
    head = source.read(start, AVR_HEAD_BYTES)
    whole = ((start, source.size),)
    if head.startswith(UNSAID):
        note = "its header does not say how long it is: one that was cut would not be noticed"
        return Layout("PAF, PVF or IRCAM", (AudioStream(whole),), (note,))
    if len(head) < 30:
        raise LayoutError("is truncated: its header is not whole")
    end = _avr_end(start, head) if head.startswith(AVR) else _voc_end(source, start, head)
    lost = max(0, end - source.size)
    return Layout("VOC or AVR", (AudioStream(whole, lost_share=lost / max(1, source.size - start)),))


def _avr_end(start: int, head: bytes) -> int:
    stereo, bits = struct.unpack_from(">HH", head, 12)
    (frames,) = struct.unpack_from(">I", head, 26)
    return int(start + AVR_HEAD_BYTES + frames * (2 if stereo else 1) * bits // 8)


def _voc_end(source: AudioBytes, start: int, head: bytes) -> int:
    """Where the last block ends, as the sizes before the blocks say."""
    (position,) = struct.unpack_from("<H", head, 20)
    position += start
    for _ in range(MAX_BLOCKS):
        block = source.read(position, 4)
        if len(block) < 4 or not block[0]:
            break
        position += 4 + int.from_bytes(block[1:], "little")
        if position > source.size:
            break
    return int(position)
