"""Live audio from recordings, pipes and a microphone: the samples that the whole would have."""

from __future__ import annotations

import io
import struct
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from asr_lab.audio.live_sources import file_samples, microphone_samples
from asr_lab.audio.piped import pipe_samples
from asr_lab.audio.reading import AudioError, read_audio
from asr_lab.audio.resampling import resample
from asr_lab.errors import LabError, MissingPackageError


class Pipe(io.RawIOBase):
    """Bytes that come in pieces of random sizes, odd ones too."""

    def __init__(self, content: bytes, seed: int = 0) -> None:
        self.content, self.rng = io.BytesIO(content), np.random.default_rng(seed)

    def read(self, count: int = -1) -> bytes:
        return self.content.read(count)

    def read1(self, count: int = -1) -> bytes:
        return self.content.read(min(count, int(self.rng.integers(1, 700))))


def joined(blocks: Iterable[Tensor]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return torch.cat([torch.zeros(0), *blocks]).numpy()


def pcm(samples: int = 5000, channels: int = 1, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(seed).integers(-20000, 20000, (samples, channels)).astype("<i2")


def wav(samples: np.ndarray[Any, Any], rate: int, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format="WAV")
    return file.getvalue()


def test_a_recording_gives_the_samples_that_it_has_read_whole(speech: Path) -> None:
    for path in ("ljspeech-excerpt/flac/LJ001-0025.flac", "fsdd/recordings/0_george_0.wav"):
        for rate in (8000, 16000) if "fsdd" in path else (16000,):
            blocks = list(file_samples(speech / path, rate))
            assert max(len(block) for block in blocks) <= 0.11 * rate
            np.testing.assert_allclose(joined(blocks), read_audio(speech / path, rate), atol=2e-6)


def test_a_recording_of_a_few_samples_a_second_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(pcm(10), 2))
    assert np.array_equal(joined(file_samples(path, 2)), read_audio(path, 2))


def test_a_recording_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(AudioError, match="no such file"):
        next(file_samples(path, 8000))
    soundfile.write(path, np.array([0.1, np.nan, 0.2]), 8000, "FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        list(file_samples(path, 8000))


def test_raw_samples_come_through_whatever_pieces_the_pipe_makes() -> None:
    samples = pcm()
    expected = samples[:, 0].astype(np.float32) / 32768
    for seed in range(5):
        assert np.array_equal(joined(pipe_samples(Pipe(samples.tobytes(), seed), 16000, 16000)), expected)
    half = samples.tobytes() + b"\x01"
    assert np.array_equal(joined(pipe_samples(Pipe(half), 16000, 16000)), expected)
    at_8000 = joined(pipe_samples(Pipe(samples.tobytes()), 16000, raw_hz=8000))
    np.testing.assert_allclose(at_8000, resample(expected, 8000, 16000), atol=1e-5)


@pytest.mark.parametrize("num_samples", [0, 1, 2, 3])
def test_a_pipe_of_next_to_nothing_gives_that(num_samples: int) -> None:
    assert len(joined(pipe_samples(Pipe(pcm(num_samples).tobytes()), 8000, 8000))) == num_samples
    assert len(joined(pipe_samples(Pipe(pcm(num_samples).tobytes()), 16000, raw_hz=8000))) == 2 * num_samples


def test_samples_come_as_soon_as_they_are_there() -> None:
    taken: list[int] = []

    class Slow(io.BytesIO):
        def read1(self, count: int | None = -1) -> bytes:
            taken.append(1)
            return self.read(2)

    blocks = pipe_samples(Slow(pcm(100).tobytes()), 8000, 8000)
    for _ in range(5):
        next(blocks)
    assert len(taken) <= 5


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "WAVEX"])
def test_a_wav_says_its_own_rate_and_channels(channels: int, subtype: str) -> None:
    samples = pcm(channels=channels)
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, "PCM_16", format="WAVEX" if subtype == "WAVEX" else "WAV")
    expected = (samples.astype(np.float64) / 32768).mean(1)
    np.testing.assert_allclose(joined(pipe_samples(Pipe(file.getvalue()), 8000)), expected, atol=1e-6)
    assert len(joined(pipe_samples(Pipe(file.getvalue()), 16000, raw_hz=11025))) == 2 * len(samples)


def test_what_stands_around_a_wavs_samples_is_not_read() -> None:
    samples = pcm(100)
    content = wav(samples, 8000)
    data = content.index(b"data")
    note = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    noted = content[:data] + note + content[data:] + note
    expected = samples[:, 0].astype(np.float32) / 32768
    assert np.array_equal(joined(pipe_samples(Pipe(noted), 8000)), expected)
    for unknown in (0, 0xFFFFFFFF, 0x7FFFFFFF):  # what writes to a pipe does not know the end
        endless = content[: data + 4] + struct.pack("<I", unknown) + content[data + 8 :]
        assert np.array_equal(joined(pipe_samples(Pipe(endless), 8000)), expected)


def test_a_wav_that_cannot_be_read_says_why() -> None:
    with pytest.raises(AudioError, match="ends within the header"):
        list(pipe_samples(Pipe(wav(pcm(10), 8000)[:20]), 8000))
    with pytest.raises(AudioError, match="does not say what its samples are"):
        list(pipe_samples(Pipe(b"RIFF\0\0\0\0WAVEdata\0\0\0\0"), 8000))


@pytest.mark.parametrize("rate", [1, 999, 768_001, 1_000_003, 2**31 - 1])
def test_an_absurd_rate_is_refused_before_anything_is_made_of_its_size(tmp_path: Path, rate: int) -> None:
    with pytest.raises(AudioError, match=r"stdin: a sample rate of .* Hz; 1,000 to 768,000 Hz can be resampled"):
        next(pipe_samples(Pipe(pcm(10).tobytes()), 16000, raw_hz=rate))
    with pytest.raises(AudioError, match="stdin: a sample rate"):
        next(pipe_samples(Pipe(wav(pcm(10), rate)), 16000))
    path = tmp_path / "a.wav"
    path.write_bytes(wav(pcm(10), rate))
    for reading in (lambda: next(file_samples(path, 16000)), lambda: read_audio(path, 16000)):
        with pytest.raises(AudioError, match=r"a\.wav: a sample rate"):
            reading()


class FakeError(Exception):
    pass


def fake_sounddevice(query: Callable[[], dict[str, float]]) -> types.ModuleType:
    """A sounddevice whose microphone says 0, 1, 2, … at 48 kHz."""

    class InputStream:
        def __init__(self, rate: int, size: int, *, channels: int, dtype: str, callback: Callable[..., None]) -> None:
            assert (rate, channels, dtype) == (48000, 1, "float32")
            self.size, self.callback = size, callback

        def __enter__(self) -> InputStream:
            for n in range(3):
                buffer = np.full((self.size, 1), n, dtype=np.float32)
                self.callback(buffer, self.size, None, None)
                buffer[:] = -1  # PortAudio uses its buffer again
            return self

        def __exit__(self, *_: object) -> None: ...

    module = types.ModuleType("sounddevice")
    module.PortAudioError = FakeError  # type: ignore[attr-defined]
    module.query_devices = lambda kind: query()  # type: ignore[attr-defined]
    module.InputStream = InputStream  # type: ignore[attr-defined]
    return module


def test_a_microphone_is_read_at_its_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice(lambda: {"default_samplerate": 48000.0}))
    source: Iterator[Tensor] = microphone_samples(48000)
    assert [next(source)[0].item() for _ in range(3)] == [0, 1, 2]
    at_16000 = microphone_samples(16000)
    assert sum(len(next(at_16000)) for _ in range(3)) == pytest.approx(3 * 1600, abs=30)


def test_no_microphone_and_no_package_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> dict[str, float]:
        raise FakeError("Error querying device -1")

    monkeypatch.setitem(sys.modules, "sounddevice", fake_sounddevice(none))
    with pytest.raises(LabError, match="no microphone: Error querying device -1"):
        next(microphone_samples(16000))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'asr-lab\[microphone\]'"):
        next(microphone_samples(16000))
