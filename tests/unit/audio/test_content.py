"""A recording's fingerprint changes with what it holds."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.audio.reading import read_info

RATE = 8000


def audio(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def test_a_flac_is_known_by_its_samples_alone(tmp_path: Path) -> None:
    path, other, wav = tmp_path / "a.flac", tmp_path / "b.flac", tmp_path / "a.wav"
    soundfile.write(path, audio(1.0), RATE)
    with soundfile.SoundFile(other, "w", RATE, 1, "PCM_16") as file:
        file.title = "with a title"
        file.write(audio(1.0))
    soundfile.write(wav, audio(1.0), RATE)
    assert path.read_bytes() != other.read_bytes()
    assert path.read_bytes()[26:42] == read_info(path).content == read_info(other).content != read_info(wav).content
    content = bytearray(path.read_bytes())
    content[26:42] = bytes(16)  # an encoder that computes none
    path.write_bytes(content)
    assert read_info(path).content == blake2b(content, digest_size=16).digest()


def test_any_byte_of_a_short_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, audio(1.0), RATE)
    seen = {read_info(path).content}
    content = bytearray(path.read_bytes())
    for place in (44, 1000, 9000, len(content) - 1):
        content[place] ^= 1
        path.write_bytes(content)
        seen.add(read_info(path).content)
    assert len(seen) == 5


@pytest.mark.parametrize(("share", "seen"), [(0.01, True), (0.5, True), (0.999, True), (0.25, False)])
def test_of_a_long_file_its_start_middle_end_and_size_count(tmp_path: Path, share: float, seen: bool) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, audio(120.0), RATE)
    size = os.path.getsize(path)
    assert size > 1 << 20
    before = read_info(path).content
    with path.open("r+b") as file:
        file.seek(int(size * share))
        file.write(b"\x7f")
    assert (read_info(path).content != before) is seen
    soundfile.write(path, audio(120.1), RATE)
    assert read_info(path).content != before
