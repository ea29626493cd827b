"""Random changes to training audio and features, each drawn from the utterance's own 64-bit key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.draws import Keys, fraction, generator, mix, mixed, uniform
from asr_lab.audio.reading import is_audio, read_audio, read_info
from asr_lab.audio.resampling import Audio, at_speed, speed_ratio
from asr_lab.errors import DataError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Augmentation:
    """A change to training input; the same key gives the same change, whatever is done before or beside it.

    Waveforms are changed by the processes that read them, features on the model's device.
    """

    def duration_factors(self, keys: Keys) -> NDArray[np.float64]:
        """How many times longer `waveform` makes each utterance, (N,): the batch plan counts with it."""
        return np.ones(len(keys))

    def recording(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        """One recording, before it is joined to others; only ever shorter, (S,) float32."""
        return audio

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        """The changed waveform, (S,) float32."""
        return audio

    def features(self, frames: Tensor, lengths: Tensor, keys: Sequence[int]) -> Tensor:
        """The changed features (B, T, F); `lengths` (B,) are the valid frames, `keys` the rows' keys."""
        return frames


class Augmentations(Augmentation):
    """Several, one after the other; each draws from keys of its own."""

    def __init__(self, parts: Sequence[Augmentation]) -> None:
        self.parts = tuple(parts)

    def duration_factors(self, keys: Keys) -> NDArray[np.float64]:
        factors = np.ones(len(keys))
        for place, part in enumerate(self.parts):
            factors *= part.duration_factors(mix(keys, place))
        return factors

    def recording(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        for place, part in enumerate(self.parts):
            audio = part.recording(audio, sample_rate, mixed(key, place))
        return audio

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        for place, part in enumerate(self.parts):
            audio = part.waveform(audio, sample_rate, mixed(key, place))
        return audio

    def features(self, frames: Tensor, lengths: Tensor, keys: Sequence[int]) -> Tensor:
        for place, part in enumerate(self.parts):
            salted = mix(np.array(keys, dtype=np.uint64), place)
            frames = part.features(frames, lengths, salted.tolist())
        return frames


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


class Trimming(Augmentation):
    """A drawn stretch is cut from either end of each recording, as if it had been cut closer to the speech.

    Up to `max_s` seconds are cut from an end, and never more than a quarter of the recording.
    """

    def __init__(self, max_s: float) -> None:
        self.max_s = max_s

    def recording(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        most = min(self.max_s * sample_rate, len(audio) / 4)
        first, last = (generator(key).random(2) * most).astype(int).tolist()
        return audio[first : len(audio) - last]


class VolumePerturbation(Augmentation):
    """A drawn gain, uniform in decibels."""

    def __init__(self, gain_db: tuple[float, float]) -> None:
        self.gain_db = gain_db

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        gain = generator(key).uniform(*self.gain_db)
        return audio * np.float32(10 ** (gain / 20))


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
        if recordings is not None:
            self.recordings = tuple(sorted(p for p in recordings.rglob("*") if is_audio(p)))
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
        wanted_s, length_s = num_samples / sample_rate, read_info(path).duration_s
        start_s = rng.uniform(0, max(length_s - wanted_s, 0.0))
        noise = read_audio(path, sample_rate, start_s, min(wanted_s, length_s - start_s))
        return np.resize(noise, num_samples)


def coloured_noise(num_samples: int, colour: float, rng: np.random.Generator) -> Audio:
    """Gaussian noise (S,) whose power falls as 1 / f^colour, made in the frequency domain."""
    from scipy.fft import irfft, next_fast_len

    size = next_fast_len(max(num_samples, 2), real=True)
    spectrum = rng.standard_normal((size // 2 + 1, 2), dtype=np.float32).view(np.complex64)[:, 0]
    bins = np.arange(len(spectrum), dtype=np.float32)
    bins[0] = np.inf
    noise: NDArray[np.float32] = irfft(spectrum * bins ** np.float32(-colour / 2), n=size)
    return noise[:num_samples].astype(np.float32)


class SpecMasks(Augmentation):
    """Bands of frequency and stretches of time are hidden: SpecAugment (arXiv 1904.08779) with adaptive time masks.

    Hidden values become the utterance's mean. A time mask covers at most `max_time_share` of the utterance's frames
    (arXiv 1912.05533).
    """

    def __init__(self, num_freq_masks: int, max_freq_bins: int, num_time_masks: int, max_time_share: float) -> None:
        self.num_freq_masks = num_freq_masks
        self.max_freq_bins = max_freq_bins
        self.num_time_masks = num_time_masks
        self.max_time_share = max_time_share

    def features(self, frames: Tensor, lengths: Tensor, keys: Sequence[int]) -> Tensor:
        import torch

        batch, num_frames, num_bins = frames.shape
        num_masks = self.num_freq_masks + self.num_time_masks
        # Shares of what is possible are drawn here; what they mean is worked out beside the features, so that the
        # lengths need not come back from a device.
        draws = np.stack([generator(key).random((num_masks, 2)) for key in keys])
        shares = torch.from_numpy(draws).to(frames.device)  # (B, masks, 2) float64
        sizes = torch.full((batch,), num_bins, device=frames.device)
        widest = torch.full_like(sizes, min(self.max_freq_bins, num_bins))
        hidden = _masks(shares[:, : self.num_freq_masks], sizes, widest, num_bins)[:, None, :]  # (B, 1, F)
        valid = torch.arange(num_frames, device=frames.device) < lengths[:, None]  # (B, T)
        widest = (lengths * self.max_time_share).long()
        hidden = hidden | _masks(shares[:, self.num_freq_masks :], lengths, widest, num_frames)[:, :, None]
        kept = torch.where(valid[:, :, None], frames, torch.zeros_like(frames))
        mean = kept.sum(dim=(1, 2)) / (lengths.clamp(min=1) * num_bins).to(frames.dtype)
        return torch.where(hidden & valid[:, :, None], mean[:, None, None], frames)


def _masks(shares: Tensor, sizes: Tensor, widest: Tensor, length: int) -> torch.Tensor:
    """Which of `length` places any mask covers, (B, length), from shares (B, masks, 2) of width and start."""
    import torch

    width = (shares[:, :, 0] * (widest[:, None] + 1)).long()  # (B, masks)
    start = (shares[:, :, 1] * (sizes[:, None] - width + 1)).long()
    places = torch.arange(length, device=shares.device)
    covered = (places >= start[:, :, None]) & (places < (start + width)[:, :, None])  # (B, masks, length)
    return covered.any(dim=1)
