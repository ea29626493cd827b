"""Codecs and narrow lines: what they leave of speech, in its place."""

from __future__ import annotations

import numpy as np
import pytest

from asr_lab.audio.augmentation.codec import CODECS, BandwidthLoss, CodecLoss, coded
from asr_lab.audio.keyed_random import generator, mix
from asr_lab.audio.resampling import resample

KEYS = mix(np.arange(300, dtype=np.uint64), 5)


def speech(rate: int, seconds: float = 0.7) -> np.ndarray:
    """Noise below 3 kHz whose level comes and goes."""
    t = np.arange(round(seconds * rate)) / rate
    spectrum = np.fft.rfft(generator(4).standard_normal(len(t)))
    spectrum[np.arange(len(spectrum)) / seconds > 3000] = 0
    noise = np.fft.irfft(spectrum, len(t))
    return (0.1 * noise / noise.std() * (1.2 + np.sin(9 * t))).astype(np.float32)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("name", CODECS)
def test_speech_stays_in_its_place_and_loses_something(name: str, rate: int) -> None:
    audio = speech(rate)
    found = coded(audio, rate, CODECS[name], 0.5)
    assert (found.dtype, found.shape) == (np.float32, audio.shape)
    assert (0.6 if name == "gsm" else 0.9) < likeness(found, audio) < 0.99999  # noise is no voice to GSM
    for shift in (-3, 3):  # the nearest places are less like it
        assert likeness(np.roll(found, shift), audio) < likeness(found, audio)


def mu_law(x: float) -> float:
    """One sample there and back by the table of ITU-T G.711: sign, exponent, four bits of mantissa."""
    sign, level = (-1 if x < 0 else 1), min(abs(int(x * 32768)), 32635) + 132
    exponent = max(0, level.bit_length() - 8)
    mantissa = (level >> (exponent + 3)) & 15
    return sign * ((((mantissa << 3) + 132) << exponent) - 132) / 32768


def test_mu_law_is_that_of_the_standard() -> None:
    audio = speech(8000)
    found = coded(audio, 8000, CODECS["mu_law"], 0.0)
    wanted = np.array([mu_law(float(x)) for x in audio])
    step = np.abs(wanted) / 16 + 1e-3  # one step of the mantissa: where libsndfile rounds, the table cuts
    assert (np.abs(found - wanted) <= step).all()


@pytest.mark.parametrize("name", ["mp3", "vorbis", "opus"])
def test_more_compression_leaves_less(name: str) -> None:
    audio = speech(16000, 2.0)
    little, much = (likeness(coded(audio, 16000, CODECS[name], level), audio) for level in (0.0, 1.0))
    assert much < little


def test_some_utterances_are_coded_each_by_its_key() -> None:
    codecs, audio = CodecLoss(list(CODECS), 0.5, (0.5, 1.0)), speech(16000)
    found = [codecs.waveform(audio, 16000, key) for key in KEYS[:60].tolist()]
    assert 18 < sum(not np.array_equal(one, audio) for one in found) < 42
    again = [codecs.waveform(audio, 16000, key) for key in KEYS[:60].tolist()]
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))


@pytest.mark.parametrize("length", [0, 1, 10, 300])
@pytest.mark.parametrize("name", CODECS)
def test_the_shortest_are_coded_too(name: str, length: int) -> None:
    found = CodecLoss([name], 1.0, (0.5, 1.0)).waveform(speech(16000)[:length], 16000, 1)
    assert len(found) == length
    assert np.isfinite(found).all()


def test_a_narrow_line_takes_what_lies_above_half_its_rate() -> None:
    noise = generator(1).standard_normal(16000).astype(np.float32)
    found = BandwidthLoss([8000], 1.0).waveform(noise, 16000, 1)
    power = np.abs(np.fft.rfft(found * np.hanning(len(found)))) ** 2
    assert power[4100:].mean() < 1e-6 * power[:3500].mean()
    wanted = resample(resample(noise, 16000, 8000), 8000, 16000)
    assert np.array_equal(found, wanted[: len(noise)])
    assert np.array_equal(BandwidthLoss([16000, 44100], 1.0).waveform(noise, 16000, 1), noise)
    narrowed = [not np.array_equal(BandwidthLoss([8000], 0.3).waveform(noise[:100], 16000, k), noise[:100])
                for k in KEYS.tolist()]  # fmt: skip
    assert 60 < sum(narrowed) < 120
