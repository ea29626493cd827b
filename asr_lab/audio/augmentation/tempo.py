"""Tempo perturbation: faster or slower speech whose pitch stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.keyed_random import Keys, fraction, uniform
from asr_lab.audio.resampling import Audio

WINDOW_S = 0.04
"""Of a stretch that is moved as a whole: some periods of the deepest voices."""
TOLERANCE_S = 0.008
"""How far from its place a stretch may be taken: a period of a voice of 62 Hz, to either side."""


class TempoPerturbation(Augmentation):
    """Speak faster or slower, the pitch kept."""

    def __init__(self, factors: Sequence[float]) -> None:
        self.factors = tuple(factors)

    def duration_factors(self, keys: Keys) -> NDArray[np.float64]:
        return 1 / np.array(self.factors)[(uniform(keys) * len(self.factors)).astype(np.int64)]

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        return at_tempo(audio, sample_rate, self.factors[int(fraction(key) * len(self.factors))])


def at_tempo(audio: Audio, sample_rate: int, tempo: float) -> Audio:
    """The same sound (S,) at a tempo, its pitch kept: (round(S / tempo),) float32; 1.1 is a tenth faster.

    By WSOLA: windows are added up half overlapping, each taken near its place where it continues the last one best.
    Source: Verhelst and Roelands, ICASSP 1993.
    """
    num_samples = round(len(audio) / tempo)
    if tempo == 1 or not num_samples:
        return audio
    half = max(1, min(round(WINDOW_S * sample_rate / 2), num_samples // 2))
    reach = round(TOLERANCE_S * sample_rate)
    window = np.hanning(2 * half + 1)[:-1].astype(np.float32)  # halves of it add up to one
    num_windows = -(-num_samples // half) + 1
    behind = reach + 3 * half + round(half * tempo)
    padded = np.concatenate([np.zeros(half + reach, np.float32), audio, np.zeros(behind, np.float32)])
    made = np.zeros((num_windows + 1) * half, dtype=np.float32)
    start = reach  # of the first window, in `padded`
    for number in range(num_windows):
        if number:
            place = reach + round(number * half * tempo)
            start = place - reach + _best(padded, place - reach, 2 * reach + 1, padded[start + half : start + 3 * half])
        made[number * half : (number + 2) * half] += window * padded[start : start + 2 * half]
    return made[half : half + num_samples]


def _best(padded: Audio, first: int, count: int, wanted: Audio) -> int:
    """Which of `count` windows from `first` on is most like the wanted one, by their correlation."""
    windows = sliding_window_view(padded[first : first + count - 1 + len(wanted)], len(wanted))
    energy = np.sqrt(np.einsum("wi,wi->w", windows, windows)) + np.float32(1e-6)
    return int(np.argmax(windows @ wanted / energy))
