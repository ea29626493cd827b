"""Tempo perturbation changes the length and not the pitch, as a twin that compares stretch by stretch does."""

from __future__ import annotations

import numpy as np
import pytest

from asr_lab.audio.augmentation.tempo import TOLERANCE_S, WINDOW_S, TempoPerturbation, at_tempo
from asr_lab.audio.keyed_random import generator, mix

RATE = 8000
KEYS = mix(np.arange(200, dtype=np.uint64), 3)


def voice(seconds: float = 0.6) -> np.ndarray:
    """Harmonics of a gliding pitch, and breath."""
    t = np.arange(round(seconds * RATE)) / RATE
    pitch = 2 * np.pi * np.cumsum(120 + 40 * np.sin(5 * t)) / RATE
    harmonics = sum(np.sin(n * pitch) / n for n in range(1, 8))
    return (0.1 * harmonics + 0.01 * generator(1).standard_normal(len(t))).astype(np.float32)


def naive(audio: np.ndarray, tempo: float) -> np.ndarray:
    """The same, window by window and candidate by candidate."""
    half, reach = round(WINDOW_S * RATE / 2), round(TOLERANCE_S * RATE)
    wanted = round(len(audio) / tempo)

    def stretch(start: int) -> np.ndarray:
        places = np.arange(start, start + 2 * half)
        inside = (places >= 0) & (places < len(audio))
        return np.where(inside, audio[np.clip(places, 0, len(audio) - 1)], 0)

    def likeness(one: np.ndarray, other: np.ndarray) -> float:
        return float(one @ other / (np.sqrt(one @ one) + 1e-6))

    made = np.zeros(wanted + 4 * half)
    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * half) / half)
    start = -half
    for number in range(-(-wanted // half) + 1):
        if number:
            natural = stretch(start + half)
            place = round(number * half * tempo) - half
            start = max(range(place - reach, place + reach + 1), key=lambda p: likeness(stretch(p), natural))
        made[number * half : (number + 2) * half] += window * stretch(start)
    return made[half : half + wanted]


@pytest.mark.parametrize("tempo", [0.5, 0.9, 1.1, 1.7, 2.0])
def test_it_is_what_comparing_stretch_by_stretch_gives(tempo: float) -> None:
    found, wanted = at_tempo(voice(), RATE, tempo), naive(voice().astype(np.float64), tempo)
    assert len(found) == len(wanted) == round(len(voice()) / tempo)
    assert np.abs(found - wanted).max() < 1e-4


@pytest.mark.parametrize("tempo", [0.8, 1.25])
def test_a_tone_keeps_its_pitch_and_its_level(tempo: float) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE).astype(np.float32)
    found = at_tempo(tone, RATE, tempo)
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert abs(np.argmax(spectrum) * RATE / len(found) - 440) < 1
    assert np.sqrt(np.mean(found[400:-400] ** 2)) == pytest.approx(np.sqrt(0.5), rel=0.02)


def test_lengths_are_those_the_plan_counts_with() -> None:
    tempos = TempoPerturbation([0.9, 1.0, 1.1])
    factors = tempos.duration_factors(KEYS)
    assert len(np.unique(factors)) == 3
    for key, factor in zip(KEYS[:30].tolist(), factors, strict=False):
        assert abs(len(tempos.waveform(voice(), RATE, key)) - len(voice()) * factor) <= 1


@pytest.mark.parametrize("length", [0, 1, 2, 5, 50, 400])
def test_what_is_shorter_than_a_window_is_changed_too(length: int) -> None:
    found = at_tempo(voice()[:length], RATE, 0.8)
    assert len(found) == round(length / 0.8)
    assert np.isfinite(found).all()
