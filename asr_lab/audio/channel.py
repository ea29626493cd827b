"""What stands between a voice and its recording: a random frequency response."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.draws import generator
from asr_lab.audio.resampling import Audio


class RandomResponse(Augmentation):
    """A drawn gain over frequency, piecewise linear in decibels over mels, without delay (its phase is zero)."""

    def __init__(self, probability: float, num_points: int, max_gain_db: float) -> None:
        self.probability = probability
        self.num_points = num_points
        self.max_gain_db = max_gain_db

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        from scipy.fft import irfft, next_fast_len, rfft

        rng = generator(key)
        if rng.random() >= self.probability or not len(audio):
            return audio
        gains_db = rng.uniform(-self.max_gain_db, self.max_gain_db, self.num_points)
        # A smooth response is a short filter; room for it keeps the end of the recording out of its start.
        size = next_fast_len(len(audio) + sample_rate // 20, real=True)
        spectrum = rfft(audio, size)
        spectrum *= response(gains_db, len(spectrum), sample_rate)
        filtered: NDArray[np.float32] = irfft(spectrum, size)[: len(audio)].astype(np.float32)
        return filtered


def response(gains_db: NDArray[np.float64], num_bins: int, sample_rate: int) -> NDArray[np.float32]:
    """Amplitude factors (num_bins,) from 0 Hz to half of `sample_rate`; `gains_db` are evenly spaced in mels.

    Mels are O'Shaughnessy's, 2595 log10(1 + f / 700).
    """
    mels = np.log10(1 + np.linspace(0, sample_rate / 2, num_bins) / 700)
    points = np.linspace(0, mels[-1], len(gains_db))
    factors: NDArray[np.float32] = (10 ** (np.interp(mels, points, gains_db) / 20)).astype(np.float32)
    return factors
