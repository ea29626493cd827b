"""Additive noise, coloured or recorded."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.folders import audio_files
from asr_lab.audio.keyed_random import generator
from asr_lab.audio.reading import read_audio, read_info
from asr_lab.audio.resampling import Audio
from asr_lab.errors import DataError


class AdditiveNoise(Augmentation):
    """Noise at a drawn signal-to-noise ratio: coloured, or a stretch of a recording.

    The power of coloured noise falls with frequency as 1 / f^colour: 0 is white, 1 pink, 2 brown. `recordings` is a
    folder of noises; DataError when it holds none.
    """

    def __init__(
        self,
        snr_db: tuple[float, float],
        probability: float,
        colour: tuple[float, float] = (0.0, 2.0),
        recordings: Path | None = None,
    ) -> None:
        self.snr_db = snr_db
        self.probability = probability
        self.colour = colour
        self.recordings: tuple[Path, ...] = ()
        self._lengths_s: dict[Path, float] = {}
        if recordings is not None:
            self.recordings = tuple(audio_files(recordings))
            if not self.recordings:
                raise DataError(f"noise: no recordings under {recordings}")

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        rng = generator(key)
        if rng.random() >= self.probability or not len(audio):
            return audio
        snr_db, colour = rng.uniform(*self.snr_db), rng.uniform(*self.colour)
        if self.recordings:
            noise = self._recording(len(audio), sample_rate, rng)
        else:
            noise = coloured_noise(len(audio), colour, rng)
        speech, power = float(np.mean(np.square(audio))), float(np.mean(np.square(noise)))
        if speech == 0.0 or power == 0.0:
            return audio
        return audio + noise * np.float32(math.sqrt(speech / power / 10 ** (snr_db / 10)))

    def _recording(self, num_samples: int, sample_rate: int, rng: np.random.Generator) -> Audio:
        path = self.recordings[int(rng.integers(len(self.recordings)))]
        wanted_s, length_s = num_samples / sample_rate, self._length_s(path)
        start_s = rng.uniform(0, max(length_s - wanted_s, 0.0))
        noise = read_audio(path, sample_rate, start_s, min(wanted_s, length_s - start_s))
        return np.resize(noise, num_samples)

    def _length_s(self, path: Path) -> float:
        """Of a recording; it may have to be decoded for it, once in each process."""
        if path not in self._lengths_s:
            self._lengths_s[path] = read_info(path).duration_s
        return self._lengths_s[path]


def coloured_noise(num_samples: int, colour: float, rng: np.random.Generator) -> Audio:
    """Gaussian noise (S,) whose power falls as 1 / f^colour, made in the frequency domain."""
    from scipy.fft import irfft, next_fast_len

    size = next_fast_len(max(num_samples, 2), real=True)
    spectrum = rng.standard_normal((size // 2 + 1, 2), dtype=np.float32).view(np.complex64)[:, 0]
    bins = np.arange(len(spectrum), dtype=np.float32)
    bins[0] = np.inf
    noise: NDArray[np.float32] = irfft(spectrum * bins ** np.float32(-colour / 2), n=size)
    return noise[:num_samples].astype(np.float32)
