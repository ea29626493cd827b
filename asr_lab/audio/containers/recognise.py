"""What kind of file a file is, by its first bytes: names decide nothing."""

from __future__ import annotations

from asr_lab.audio.containers import chunked
from asr_lab.audio.containers.flac import flac_layout
from asr_lab.audio.containers.layout import AudioBytes, Layout, LayoutError
from asr_lab.audio.containers.mp3 import id3_bytes, mp3_layout
from asr_lab.audio.containers.ogg import ogg_layout
from asr_lab.audio.containers.old import is_old, old_layout

MAGIC_BYTES = 40
"""So many first bytes tell every kind."""
MAX_ID3 = 16
"""Tags before one another that are skipped."""
UNREAD = (
    (4, b"ftyp", "MP4 (AAC or ALAC)"),
    (0, b"\x30\x26\xb2\x75", "ASF (WMA)"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"#!AMR", "AMR"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"ajkg", "Shorten"),
    (0, b"ADIF", "AAC"),
)
"""Kinds that no decoder here reads: where their mark stands, and what they are called."""


def name_of(head: bytes) -> str:
    """What a stream that begins with these bytes is called; empty where no container begins so."""
    if head[:4] in chunked.FORMS:
        return chunked.FORMS[head[:4]].name
    for magic, name in ((b".snd", "AU"), (b"dns.", "AU"), (b"NIST_1A", "NIST Sphere"), (b"fLaC", "FLAC")):
        if head.startswith(magic):
            return name
    if head[:4] == b"OggS":
        return "Ogg"
    if head[:3] == b"ID3" and len(head) >= 10 and head[3] < 5 and max(head[6:10]) < 128:
        return "MP3"
    return _unread(head)


def _unread(head: bytes) -> str:
    return next((name for at, mark, name in UNREAD if head[at:].startswith(mark)), "")


def is_mpeg_sync(head: bytes) -> bool:
    """Whether an MPEG audio frame may begin so; a quiet raw sample may too."""
    return len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[2] & 0xF0 != 0xF0


def layout_of(source: AudioBytes) -> Layout:
    """How a file's audio is laid out. LayoutError, saying what it is, for a file of no kind that is read."""
    start, head = 0, source.read(0, MAGIC_BYTES)
    tagged = False
    for _ in range(MAX_ID3):
        if not (skipped := id3_bytes(head)):
            break
        start, tagged = start + skipped, True
        head = source.read(start, MAGIC_BYTES)
    magic = head[:4]
    if magic in chunked.FORMS and (magic != b"riff" or head[:16] == chunked.W64_RIFF):
        return chunked.chunked_layout(source, start)
    for magics, read in (
        ((b".snd", b"dns."), chunked.au_layout),
        ((b"NIST",), chunked.nist_layout),
        ((b"fLaC",), flac_layout),
        ((b"OggS",), ogg_layout),
    ):
        if magic in magics:
            return read(source, start)
    if found := _unread(head) or ("AAC" if head[:2] in (b"\xff\xf1", b"\xff\xf9") else ""):
        raise LayoutError(f"looks like {found}, which is not read; convert it to FLAC, by ffmpeg for example")
    if is_old(head) and not tagged:
        return old_layout(source, start)
    return mp3_layout(source, start)
