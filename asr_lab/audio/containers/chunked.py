"""Containers whose headers say how many bytes of samples follow: wav, RF64, W64, AIFF, CAF, AU, NIST Sphere.

Sources: Microsoft's RIFF and Sony's W64; EBU Tech 3306 (RF64); Apple's AIFF-C and CAF; Sun's AU; NIST's Sphere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from asr_lab.audio.containers.layout import AudioBytes, AudioStream, Layout, LayoutError

W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_TAIL = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
NIST_HEAD_BYTES = 1024
MAX_CHUNKS = 10_000
"""A file of more is damage."""
PIPED = ((0x7FFFF000 - 64, 0x80000000), (0xFFFFF000, 0xFFFFFFFF))
"""Sizes of 32 bits, first and last, that stand for an end which was not known when the header was written."""
ENDLESS = 1 << 62
"""Sizes of 64 bits above this stand for that too."""


class _Form(NamedTuple):
    """How a container writes its chunks."""

    name: str
    id_bytes: int
    size_bytes: int
    is_big_endian: bool
    head_bytes: int
    """Bytes before the first chunk."""
    data: bytes
    """Id of the chunk of samples."""
    align: int
    """Chunks begin at a multiple of so many bytes."""
    counts_head: bool = False
    """Whether a chunk's size counts its id and itself."""


_RIFF = _Form("wav", 4, 4, False, 12, b"data", 2)
FORMS = {
    b"RIFF": _RIFF,
    b"RIFX": _RIFF._replace(is_big_endian=True),
    b"RF64": _RIFF._replace(name="RF64"),
    b"FORM": _Form("AIFF", 4, 4, True, 12, b"SSND", 2),
    b"caff": _Form("CAF", 4, 8, True, 8, b"data", 1),
    b"riff": _Form("W64", 16, 8, False, 40, b"data" + _W64_TAIL, 8, counts_head=True),
}


class _Chunk(NamedTuple):
    id: bytes
    start: int
    size_at: int
    """Where its size stands, in so many bytes:"""
    width: int
    body: int
    size: int


def chunked_layout(source: AudioBytes, start: int) -> Layout:
    """The streams of a file in one of `FORMS`: after the chunks of one, another may begin."""
    parts: list[AudioStream] = []
    name = ""
    while start < source.size and (form := FORMS.get(source.read(start, 4))) is not None:
        if form.name == "AIFF" and source.read(start + 8, 4) in (b"8SVX", b"16SV"):
            form = form._replace(name="SVX", data=b"BODY")
        if parts and form.name != name:
            break
        name = form.name
        part, end = _part(source, start, form)
        parts.append(part)
        if end <= start:
            break
        start = end
    if not parts:
        raise LayoutError("is truncated or malformed")
    return Layout(name, tuple(parts))


def _part(source: AudioBytes, start: int, form: _Form) -> tuple[AudioStream, int]:
    """One stream, and where it ends."""
    part: AudioStream | None = None
    position = start + form.head_bytes
    for number, chunk in enumerate(_chunks(source, position, form)):
        if number and chunk.id[:4] == source.read(start, 4) and part is not None:
            return _ending(part, start, chunk.start), chunk.start
        if chunk.id == form.data and part is None:
            part = _data(source, start, form, chunk)
            if part.decode or part.lost_share:
                return part, source.size
    if part is None:
        # A decoder says what is wrong with it; audio there is none.
        return AudioStream(((start, source.size),)), source.size
    return part, source.size


def _ending(part: AudioStream, start: int, end: int) -> AudioStream:
    return AudioStream(((start, end),), part.lost_share, part.decode)


def _data(source: AudioBytes, start: int, form: _Form, chunk: _Chunk) -> AudioStream:
    """The stream whose samples a chunk holds; a size that is more than the file is put right."""
    there = source.size - chunk.body
    unknown = _is_unknown(source, form, chunk, there)
    if not unknown and chunk.size <= there:
        return AudioStream(((start, source.size),))
    head = form.id_bytes + form.size_bytes if form.counts_head else 0
    known = min(there + head, 256**chunk.width - 2).to_bytes(chunk.width, "big" if form.is_big_endian else "little")
    pieces = ((start, chunk.size_at), known, (chunk.size_at + chunk.width, source.size))
    if unknown:
        return AudioStream(pieces, decode="its header was written before its end was known")
    return AudioStream(pieces, lost_share=(chunk.size - there) / there if there else 1.0)


def _is_unknown(source: AudioBytes, form: _Form, chunk: _Chunk, there: int) -> bool:
    if chunk.size == 0:
        # Empty, or to the file's end: what follows an empty one is a chunk.
        following = source.read(chunk.body, form.id_bytes)
        return there > 0 and not re.fullmatch(rb"[A-Za-z0-9 _]{4}", following[:4])
    if chunk.size <= there:
        return False
    return chunk.size >= ENDLESS if chunk.width == 8 else was_unknown(chunk.size)


def was_unknown(size: int) -> bool:
    """Whether a size of 32 bits stands for an end that was not known when it was written."""
    return any(first <= size <= last for first, last in PIPED)


def _chunks(source: AudioBytes, position: int, form: _Form) -> Iterator[_Chunk]:
    wide: tuple[int, int] | None = None
    for _ in range(MAX_CHUNKS):
        head = source.read(position, form.id_bytes + form.size_bytes)
        if len(head) < form.id_bytes + form.size_bytes:
            return
        name, body = head[: form.id_bytes], position + len(head)
        size = int.from_bytes(head[form.id_bytes :], "big" if form.is_big_endian else "little")
        size_at, width = position + form.id_bytes, form.size_bytes
        if form.counts_head:
            size = max(0, size - len(head))
        if name == b"ds64" and size >= 16:
            wide = body + 8, int.from_bytes(source.read(body + 8, 8), "little")
        elif name == form.data and size == 0xFFFFFFFF and wide is not None:  # RF64
            size_at, size, width = wide[0], wide[1], 8
        yield _Chunk(name, position, size_at, width, body, size)
        position = body + -(-size // form.align) * form.align
        if position > source.size:
            return


def au_layout(source: AudioBytes, start: int) -> Layout:
    """The streams of an AU file."""
    parts: list[AudioStream] = []
    while source.read(start, 4) in (b".snd", b"dns."):
        order = "big" if source.read(start, 4) == b".snd" else "little"
        offset, size = (int.from_bytes(source.read(start + at, 4), order) for at in (4, 8))  # type: ignore[arg-type]
        there = source.size - start - offset
        if offset < 24 or there <= 0:
            raise LayoutError("is truncated: no sample of it is there" if there <= 0 else "is malformed")
        if size > there and size < PIPED[1][0]:
            parts.append(AudioStream(((start, source.size),), lost_share=(size - there) / there))
            break
        if size in (0, 0xFFFFFFFF) or size > there:
            pieces = ((start, start + 8), there.to_bytes(4, order), (start + 12, source.size))  # type: ignore[arg-type]
            parts.append(AudioStream(pieces, decode="its header was written before its end was known"))
            break
        end = start + offset + size
        if source.read(end, 4) not in (b".snd", b"dns."):
            parts.append(AudioStream(((start, source.size),)))
            break
        parts.append(AudioStream(((start, end),)))
        start = end
    return Layout("AU", tuple(parts))


def nist_layout(source: AudioBytes, start: int) -> Layout:
    """The stream of a NIST Sphere file, whose header is text."""
    head = source.read(start, NIST_HEAD_BYTES)
    length = re.match(rb"NIST_1A\n\s*(\d{1,8})\n", head)
    fields = dict(re.findall(rb"(?m)^(sample_count|sample_n_bytes|channel_count) -i (\d{1,15})\s*$", head))
    if length is None or b"sample_count" not in fields:
        return Layout("NIST Sphere", (AudioStream(((start, source.size),)),))
    size = int(fields[b"sample_count"]) * int(fields.get(b"channel_count", 1)) * int(fields.get(b"sample_n_bytes", 2))
    there = source.size - start - int(length.group(1))
    if there <= 0:
        raise LayoutError("is truncated: no sample of it is there")
    return Layout("NIST Sphere", (AudioStream(((start, source.size),), lost_share=max(0.0, (size - there) / there)),))
