"""Recordings of every format are read, and broken ones are named."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.audio.live_sources import file_samples
from asr_lab.audio.reading import AudioError, read_audio, read_info

RATE = 16000
FORMATS = {
    "wav": ("WAV", "PCM_16", 1e-4),
    "flac": ("FLAC", "PCM_16", 1e-4),
    "ogg": ("OGG", "VORBIS", 0.05),
    "opus": ("OGG", "OPUS", 0.05),
    "mp3": ("MP3", "MPEG_LAYER_III", 0.05),
}


def sweep(seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """A tone that rises from 200 Hz, faded in and out, (S,) float32."""
    time = np.arange(round(seconds * rate)) / rate
    fade = np.minimum(1, np.minimum(time, seconds - time) / 0.1)
    return (0.3 * fade * np.sin(2 * np.pi * (200 + 300 * time) * time)).astype(np.float32)


def write(folder: Path, ending: str, audio: np.ndarray, rate: int = RATE) -> Path:
    path = folder / f"a.{ending}"
    kind, subtype, _ = FORMATS[ending]
    soundfile.write(path, audio, rate, format=kind, subtype=subtype)
    return path


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_round_trips(tmp_path: Path, ending: str) -> None:
    audio = sweep()
    path = write(tmp_path, ending, audio)
    info = read_info(path)
    assert (info.sample_rate, info.num_channels, info.num_bytes) == (RATE, 1, path.stat().st_size)
    read = read_audio(path, RATE)
    assert read.dtype == np.float32
    assert len(read) == info.num_samples == len(audio)
    # libsndfile lets the last few milliseconds of Opus ring.
    assert np.abs(read - audio)[: -RATE // 50].max() < FORMATS[ending][2]


@pytest.mark.parametrize("ending", FORMATS)
def test_a_stretch_is_what_the_whole_holds_there(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, ending, sweep(4.0))
    whole = read_audio(path, RATE)
    for start_s, duration_s in [(0.0, 1.0), (0.3, 1.5), (2.0, None), (3.5, 0.5)]:
        part = read_audio(path, RATE, start_s, duration_s)
        start = round(start_s * RATE)
        wanted = whole[start:] if duration_s is None else whole[start : start + round(duration_s * RATE)]
        assert part.shape == wanted.shape
        assert np.abs(part - wanted).max() < 2e-3


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_another_rate_is_resampled(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path, "wav", sweep(1.0, rate), rate)
    assert np.abs(read_audio(path, RATE) - sweep(1.0)).max() < 2e-3


def test_channels_are_mixed_or_picked(tmp_path: Path) -> None:
    left, right = sweep(), -0.5 * sweep()
    path = write(tmp_path, "wav", np.stack([left, right], axis=1))
    assert read_info(path).num_channels == 2
    assert np.abs(read_audio(path, RATE, channel=0) - left).max() < 1e-4
    assert np.abs(read_audio(path, RATE, channel=1) - right).max() < 1e-4
    for channel in ("mix", None):
        assert np.abs(read_audio(path, RATE, channel=channel) - (left + right) / 2).max() < 1e-4
    with pytest.raises(AudioError, match="no channel 2, only 2"):
        read_audio(path, RATE, channel=2)


def broken(folder: Path, kind: str) -> Path:
    """A file that cannot be used."""
    path = folder / "broken.wav"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_bytes(b"this is no audio at all, it is a letter\n" * 20)
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0, np.float32), RATE)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "missing":
        whole = write(folder, kind, sweep(3.0))
        path = folder / f"broken.{kind}"
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "no such file"),
        ("empty", "0 bytes"),
        ("text", "not audio"),
        ("no samples", "no samples"),
        ("folder", "not a regular file"),
        ("pipe", "not a regular file"),
        ("wav", "truncated"),
        ("flac", "truncated"),
        ("ogg", "truncated"),
        ("opus", "truncated"),
        ("mp3", "truncated"),
    ],
)
def test_a_broken_file_is_refused_with_its_reason(tmp_path: Path, kind: str, reason: str) -> None:
    path = broken(tmp_path, kind)
    for read in (read_info, lambda p: read_audio(p, RATE)):
        with pytest.raises(AudioError, match=reason) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert str(path) not in caught.value.reason


def test_a_name_need_not_be_utf8(tmp_path: Path) -> None:
    path = os.path.join(tmp_path, os.fsdecode(b"\xff\xfe.flac"))
    write(tmp_path, "flac", sweep()).rename(path)
    assert read_info(path).num_samples == len(read_audio(path, RATE)) == len(sweep())
    assert len(np.concatenate(list(file_samples(path, RATE)))) == len(sweep())
    for name in ("a\0b.wav", "\ud800.wav"):
        with pytest.raises(AudioError, match="no file can be called so"):
            read_info(os.path.join(tmp_path, name))


def test_samples_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    for value in (np.nan, np.inf):
        audio = sweep()
        audio[1000] = value
        path = tmp_path / "nan.wav"
        soundfile.write(path, audio, RATE, subtype="FLOAT")
        assert read_info(path).num_samples == len(audio)
        with pytest.raises(AudioError, match="not finite"):
            read_audio(path, RATE)


def test_damage_inside_a_flac_file_is_found_when_it_is_decoded(tmp_path: Path) -> None:
    path = write(tmp_path, "flac", np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = b"\x55" * 4000
    path.write_bytes(data)
    with pytest.raises(AudioError, match="truncated or damaged"):
        read_audio(path, RATE)


def test_more_than_there_is_cannot_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, "wav", sweep(2.0))
    assert len(read_audio(path, RATE, 1.0, 1.05)) == RATE  # a manifest may round
    with pytest.raises(AudioError, match=r"lasts 2\.00 s, but 3\.00 s are wanted"):
        read_audio(path, RATE, 1.0, 2.0)
    with pytest.raises(AudioError, match="nothing is wanted"):
        read_audio(path, RATE, 5.0)


def test_real_recordings_in_many_encodings_say_the_same(speech: Path) -> None:
    folder = speech / "misc-clips-and-formats"
    with (folder / "manifest.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        if row["audio"].endswith(".raw"):
            continue  # has no header, so nothing can know its rate
        audio = read_audio(folder / row["audio"], RATE)
        assert abs(len(audio) / RATE - float(row["duration_s"])) < 0.05
        assert 1e-4 < np.sqrt(np.mean(audio**2)) < 1
    ones, others = (read_audio(folder / "formats" / f"audio-mono-{bits}-bit-44100Hz.wav", RATE) for bits in (24, 32))
    assert np.abs(ones - others).max() < 1e-6
