"""Volume perturbation."""

from __future__ import annotations

import numpy as np

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.keyed_random import generator
from asr_lab.audio.resampling import Audio


class VolumePerturbation(Augmentation):
    """A drawn gain, uniform in decibels."""

    def __init__(self, gain_db: tuple[float, float]) -> None:
        self.gain_db = gain_db

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        gain = generator(key).uniform(*self.gain_db)
        return audio * np.float32(10 ** (gain / 20))
