"""Recordings in every container with their bytes damaged, through the reader, the index and the commands."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from outcomes import Case, called, judged
from small_run import SmallRun

KINDS = (
    ("wav", "WAV", "PCM_16"), ("wav", "WAV", "PCM_24"), ("wav", "WAV", "FLOAT"), ("wav", "WAV", "DOUBLE"),
    ("wav", "WAV", "ULAW"), ("wav", "WAV", "GSM610"), ("wav", "WAV", "IMA_ADPCM"), ("wav", "WAV", "MS_ADPCM"),
    ("wav", "WAVEX", "PCM_16"), ("wav", "RF64", "PCM_16"), ("w64", "W64", "PCM_16"), ("aiff", "AIFF", "PCM_16"),
    ("aiff", "AIFF", "IMA_ADPCM"), ("au", "AU", "PCM_16"), ("au", "AU", "FLOAT"), ("caf", "CAF", "PCM_16"),
    ("caf", "CAF", "ALAC_16"), ("sph", "NIST", "PCM_16"), ("flac", "FLAC", "PCM_16"), ("flac", "FLAC", "PCM_24"),
    ("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III"),
    ("voc", "VOC", "PCM_16"), ("svx", "SVX", "PCM_16"), ("avr", "AVR", "PCM_16"), ("pvf", "PVF", "PCM_16"),
)  # fmt: skip
"""Ending, container and encoding."""
EXTREMES = (0, 1, 2, 0x7F, 0x7FFF, 0xFFFF, 40_000, 1_000_003, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
HEADER_BYTES = 160
COMMANDS = 10
"""One case of so many is a command: it loads a model."""
RATES = (8000, 16000, 22050, 44100)
MAX_SAMPLES_PER_BYTE = 4096
"""More than any codec makes of a byte, silence in FLAC included."""
AGREES_DB = 100.0


def cases(small: SmallRun, number: int, seed: int, first: int = 0) -> Iterator[Case]:
    """Write a recording, damage it, and read it in every way."""
    folder = small.folder / "audio files"
    folder.mkdir(exist_ok=True)
    for index in range(first, first + number):
        rng = random.Random(f"{seed} audio files {index}")
        kind = rng.choice(KINDS)
        content, damage = _damaged(kind, rng)
        ending = rng.choice((kind[0], kind[0], kind[0], "wav", "raw", "mp3", "txt"))
        path = folder / f"{index}.{ending}"
        path.write_bytes(content)
        name = f"{index}: {' '.join(kind[1:])}.{ending} {damage}"
        if index % COMMANDS == 0:
            stream = rng.choice(((), ("--stream",)))
            yield called(f"{name}, asrlab transcribe", ["transcribe", str(path), "--run", str(small.run), *stream])
        elif index % COMMANDS == 1:
            with _stdin(content):
                words = ["transcribe", "-", "--stream", "--run", str(small.run)]
                yield called(f"{name}, asrlab transcribe -", words)
        else:
            yield judged(name, lambda path=path, content=content, rng=rng: _read(path, content, rng))
        path.unlink()


def _read(path: Path, content: bytes, rng: random.Random) -> str:
    """What is wrong with what the readers say of a file; empty where they agree."""
    from asr_lab.audio.live_sources import file_samples
    from asr_lab.audio.piped import pipe_samples
    from asr_lab.audio.reading import AudioError, AudioInfo, read_audio, read_info
    from asr_lab.data.header_index import HeaderIndex
    from asr_lab.recognition.recognizer import read_pieces

    errors, warned = io.StringIO(), warnings.catch_warnings()
    with warned, _quiet_c(errors):
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(2) as pool:
            (found,) = HeaderIndex(path.parent / "cache").read([str(path)], pool).values()
        info = None
        with contextlib.suppress(AudioError):
            info = read_info(path)
        if isinstance(found, AudioInfo) != (info is not None) or (info is not None and found != info):
            return f"the index says {found}, the file {info}"
        rate = rng.choice((8000, info.sample_rate if info else 16000))
        ways: dict[str, Callable[[], object]] = {
            "read_audio": lambda: read_audio(path, rate),
            "file_samples": lambda: _joined(file_samples(path, rate)),
            "read_pieces": lambda: _joined(piece.audio for piece in read_pieces(path, rate)),
            "pipe_samples": lambda: _joined(pipe_samples(io.BytesIO(content), rate)),
        }
        results = {}
        for name, way in ways.items():
            try:
                results[name] = np.asarray(way())
            except AudioError as error:
                results[name] = error.reason
    if errors.getvalue():
        return f"libraries wrote to stderr: {errors.getvalue()[:200]!r}"
    return _disagreement(results, rate, info, len(content))


def _disagreement(results: dict[str, object], rate: int, info: object, num_bytes: int) -> str:
    """How the ways of reading differ; empty where they don't."""
    whole = results["read_audio"]
    if isinstance(whole, str):
        others = [n for n, r in results.items() if n in ("file_samples", "read_pieces") and not isinstance(r, str)]
        return f"{others} read what read_audio refuses: {whole}" if others else ""
    if info is None:
        return f"read_info refuses {len(whole)} samples that read_audio gives"
    if len(whole) > num_bytes * MAX_SAMPLES_PER_BYTE:
        return f"{len(whole):,} samples from {num_bytes:,} bytes"
    if abs(len(whole) / rate - info.duration_s) > 0.06:
        return f"{len(whole) / rate:.3f} s are read, {info.duration_s:.3f} s known"
    for name in ("file_samples", "pipe_samples"):
        other = results[name]
        if isinstance(other, str):
            if name == "pipe_samples":
                continue  # what is odd in a file may not be known in a pipe
            return f"{name} refuses what read_audio gives: {other}"
        if len(other) != len(whole):
            return f"{name} gives {len(other)} samples, read_audio {len(whole)}"
        with np.errstate(all="ignore"):
            error, power = np.square(other.astype("f8") - whole).sum(), np.square(whole.astype("f8")).sum()
        if error > power * 10 ** (-AGREES_DB / 10) + 1e-12:
            return f"{name} is {10 * np.log10(power / error):.1f} dB from read_audio"
    return ""


def _joined(blocks: Iterator[object]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.float32), *(np.asarray(block) for block in blocks)])


def _damaged(kind: tuple[str, str, str], rng: random.Random) -> tuple[bytes, str]:
    """A recording's bytes with one thing or two done to them, and what."""
    content, names = _recording(kind, rng.choice(RATES), rng.choice((1, 1, 2)), rng.randrange(3)), []
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2))):
        way = rng.choice((_bits, _bits, _cut, _extreme, _extreme, _extreme, _joined_to, _around, _hole, _noise_in))
        content = way(content, rng)
        names.append(way.__name__.strip("_"))
    return content, "+".join(names) or "whole"


@cache
def _recording(kind: tuple[str, str, str], rate: int, channels: int, which: int) -> bytes:
    _, container, encoding = kind
    rate = {"OPUS": 16000, "GSM610": 8000}.get(encoding, rate)
    channels = 1 if encoding == "GSM610" or container in ("SVX",) else channels
    times = np.arange(int((0.05, 0.4, 1.7)[which] * rate)) / rate
    audio = np.stack([0.3 * np.sin(2 * np.pi * (200 + 300 * times + 50 * c) * times) for c in range(channels)], 1)
    file = io.BytesIO()
    soundfile.write(file, audio, rate, encoding, format=container)
    return file.getvalue()


def _bits(content: bytes, rng: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        found[rng.randrange(min(len(found), rng.choice((HEADER_BYTES, len(found)))))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.choice((rng.randrange(1, HEADER_BYTES), rng.randrange(1, len(content)), len(content) - 3))]


def _extreme(content: bytes, rng: random.Random) -> bytes:
    value = rng.choice(EXTREMES)
    size = rng.choice((2, 4, 4, 4, 8))
    at = 2 * rng.randrange(min(len(content), HEADER_BYTES) // 2)
    packed = struct.pack(rng.choice("<>") + "Q", value)
    packed = packed[:size] if packed[0] or not packed[7] else packed[8 - size :]
    return content[:at] + packed + content[at + size :]


def _joined_to(content: bytes, rng: random.Random) -> bytes:
    other = rng.choice((content, _recording(rng.choice(KINDS), rng.choice(RATES), 1, 1)))
    return content + other


def _around(content: bytes, rng: random.Random) -> bytes:
    """Tags and padding before and behind it."""
    id3 = b"ID3\x04\0\0\0\0\0\x10" + bytes(16)
    tails = (b"TAG" + bytes(125), b"APETAGEX" + bytes(24), bytes(512), b"LIST\4\0\0\0abcd", b"\xff\xfb\x90\x64" * 3)
    return rng.choice((b"", id3)) + content + rng.choice(tails)


def _hole(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    return content[:start] + content[start + rng.randrange(2000) :]


def _noise_in(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    return content[:start] + rng.randbytes(rng.randrange(1, 500)) + content[start:]


@contextlib.contextmanager
def _stdin(content: bytes) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.stdin = before


@contextlib.contextmanager
def _quiet_c(into: io.StringIO) -> Iterator[None]:
    """What C libraries write to file descriptor 2 in the meantime."""
    with contextlib.ExitStack() as stack:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        kept = os.dup(2)
        os.dup2(writing, 2)
        stack.callback(os.close, reading)
        stack.callback(os.close, writing)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            with contextlib.suppress(BlockingIOError):
                into.write(os.read(reading, 1 << 16).decode(errors="replace"))
