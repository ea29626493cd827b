"""What comes through a pipe is told by its first bytes; raw samples have to be announced."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from asr_lab.audio.piped import pipe_samples
from asr_lab.audio.reading import AudioError

RATE = 8000
AUDIO = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)


def encoded(container: str, encoding: str = "PCM_16", audio: np.ndarray = AUDIO, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, rate, encoding, format=container)
    return file.getvalue()


def piped(content: bytes, raw_hz: int | None = None) -> np.ndarray:
    return torch.cat([torch.zeros(0), *pipe_samples(io.BytesIO(content), RATE, raw_hz)]).numpy()


@pytest.mark.parametrize("raw_hz", [None, RATE])
@pytest.mark.parametrize(
    ("container", "encoding"),
    [
        ("FLAC", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "GSM610"), ("RF64", "PCM_16"),
        ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("NIST", "PCM_16"),
        ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
    ],
)  # fmt: skip
def test_every_container_is_decoded(container: str, encoding: str, raw_hz: int | None) -> None:
    if container == "MP3" and raw_hz:
        pytest.skip("quiet raw samples begin like a frame, so that announced ones are believed")
    content = encoded(container, encoding)
    expected = soundfile.read(io.BytesIO(content), 2 * RATE, dtype="float32")[0]
    assert np.allclose(piped(content, raw_hz)[:RATE], expected[:RATE], atol=1e-6)


def test_what_nothing_begins_like_is_raw_only_if_announced() -> None:
    raw = (AUDIO * 32767).astype("<i2").tobytes()
    assert len(piped(raw, RATE)) == len(AUDIO)
    for content in (raw, b"hello, this is no audio at all " * 20, bytes(1000), b"RIF"):
        with pytest.raises(AudioError, match=r"stdin: begins like no container that is known; raw .* --sample-rate HZ"):
            piped(content)
    quiet = np.full(1000, -1, "<i2").tobytes()
    with pytest.raises(AudioError, match=r"stdin: .* --sample-rate HZ"):
        piped(quiet)
    assert len(piped(quiet, RATE)) == 1000
    with pytest.raises(AudioError, match="stdin: is empty"):
        piped(b"")


def test_what_cannot_be_read_is_called_what_it_looks_like() -> None:
    with pytest.raises(AudioError, match="stdin: looks like FLAC, and is truncated"):
        piped(encoded("FLAC")[:4000])
    with pytest.raises(AudioError, match="stdin: looks like MP4"):
        piped(b"\0\0\0\x20ftypM4A " + bytes(400))


def test_a_wav_that_ends_early_gives_what_came_and_then_an_error() -> None:
    content = encoded("WAV")
    assert len(piped(content[:-100])) == RATE - 50  # a few milliseconds
    given = []
    with pytest.raises(AudioError, match=r"truncated: the last 0\.50 s"):
        given += pipe_samples(io.BytesIO(content[:-RATE]), RATE)
    assert sum(map(len, given)) == RATE // 2


def test_wavs_after_one_another_are_all_given() -> None:
    first, second = encoded("WAV"), encoded("WAV", audio=AUDIO[::-1])
    note = b"LIST\x04\0\0\0abcd"
    assert np.array_equal(piped(first + note + second), np.concatenate([piped(first), piped(second)]))
    with pytest.raises(AudioError, match="second wav of another form or rate"):
        piped(first + encoded("WAV", rate=16000))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (struct.pack("<IHHIIHH", 16, 1, 40_000, RATE, 0, 0, 16), "40,000 channels; up to 256"),
        (struct.pack("<IHHIIHH", 16, 1, 1, 2**31 - 1, 0, 2, 16), "sample rate of 2,147,483,647 Hz"),
        (struct.pack("<IHHI", 8, 1, 1, RATE), "describes its samples in 8 bytes"),
        (struct.pack("<I", 0xFFFFFFF0), "a chunk of 4,294,967,280 bytes before its samples; 16,777,216"),
    ],
)
def test_a_number_of_a_header_sizes_nothing(header: bytes, reason: str) -> None:
    with pytest.raises(AudioError, match=reason):
        piped(b"RIFF\xff\xff\xff\xffWAVEfmt " + header + b"data\0\0\0\0" + bytes(100))
