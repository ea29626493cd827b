"""Random changes to training audio and features, each drawn from the utterance's own 64-bit key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.keyed_random import Keys, mix, mixed
from asr_lab.audio.resampling import Audio

if TYPE_CHECKING:
    from torch import Tensor


class Augmentation:
    """A change to training input; the same key gives the same change, whatever is done before or beside it.

    Waveforms are changed by the processes that read them, features on the model's device.
    """

    def duration_factors(self, keys: Keys) -> NDArray[np.float64]:
        """How many times longer `waveform` makes each utterance, (N,): the batch plan counts with it."""
        return np.ones(len(keys))

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

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        for place, part in enumerate(self.parts):
            audio = part.waveform(audio, sample_rate, mixed(key, place))
        return audio

    def features(self, frames: Tensor, lengths: Tensor, keys: Sequence[int]) -> Tensor:
        for place, part in enumerate(self.parts):
            salted = mix(np.array(keys, dtype=np.uint64), place)
            frames = part.features(frames, lengths, salted.tolist())
        return frames
