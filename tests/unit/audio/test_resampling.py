"""Resampling keeps what both rates can hold, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio

from asr_lab.audio.resampling import resample, resampled_length

PAIRS = [(8000, 16000), (44100, 16000), (48000, 16000), (22050, 16000), (16000, 8000), (9, 10), (11, 10)]


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_tone_stays_the_same_tone(from_hz: int, to_hz: int) -> None:
    cycles = 0.2 * min(from_hz, to_hz)
    tone = np.sin(2 * np.pi * cycles * np.arange(100 * 320) / from_hz).astype(np.float32)
    there = resample(tone, from_hz, to_hz)
    assert len(there) == resampled_length(len(tone), from_hz, to_hz)
    wanted = np.sin(2 * np.pi * cycles * np.arange(len(there)) / to_hz)
    assert np.abs(there - wanted)[500:-500].max() < 1e-4


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16000, 8000), (48000, 16000), (44100, 16000)])
def test_what_the_lower_rate_cannot_hold_is_gone(from_hz: int, to_hz: int) -> None:
    tone = np.sin(2 * np.pi * 0.6 * to_hz * np.arange(from_hz) / from_hz).astype(np.float32)
    assert np.abs(resample(tone, from_hz, to_hz))[500:-500].max() < 1e-3


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS[:5])
def test_it_equals_torchaudio_below_the_band_edge(from_hz: int, to_hz: int) -> None:
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal(4 * from_hz // 10 * 10))
    spectrum[int(len(spectrum) * 0.7 * min(from_hz, to_hz) / from_hz) :] = 0  # nothing near the filters' edges
    audio = (0.1 * np.fft.irfft(spectrum)).astype(np.float32)
    reference = torchaudio.functional.resample(
        torch.from_numpy(audio),
        from_hz,
        to_hz,
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        resampling_method="sinc_interp_kaiser",
        beta=14.769656459379492,
    ).numpy()
    ours = resample(audio, from_hz, to_hz)
    assert len(ours) == len(reference)
    assert np.abs(ours - reference)[1000:-1000].max() < 2e-4


def test_empty_and_equal_rates_pass_through() -> None:
    audio = np.ones(5, dtype=np.float32)
    assert resample(audio, 16000, 16000) is audio
    assert len(resample(audio[:0], 8000, 16000)) == 0
    assert len(resample(audio[:1], 44100, 16000)) == 1
    with pytest.raises(ValueError, match="above 0"):
        resample(audio, 0, 16000)
