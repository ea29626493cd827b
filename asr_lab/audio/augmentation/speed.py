"""Speed perturbation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.keyed_random import Keys, fraction, uniform
from asr_lab.audio.resampling import Audio, at_speed, speed_ratio


class SpeedPerturbation(Augmentation):
    """Play faster or slower, pitch included (Ko et al., Interspeech 2015)."""

    def __init__(self, factors: Sequence[float]) -> None:
        self.factors = tuple(factors)

    def _choice(self, keys: Keys) -> NDArray[np.int64]:
        return (uniform(keys) * len(self.factors)).astype(np.int64)

    def duration_factors(self, keys: Keys) -> NDArray[np.float64]:
        return np.array([float(1 / speed_ratio(f)) for f in self.factors])[self._choice(keys)]

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        return at_speed(audio, self.factors[int(fraction(key) * len(self.factors))])
