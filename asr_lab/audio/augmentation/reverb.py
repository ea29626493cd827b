"""Reverberation: speech as a room gives it back, measured or simulated."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.folders import audio_files
from asr_lab.audio.keyed_random import generator
from asr_lab.audio.reading import read_audio
from asr_lab.audio.resampling import Audio
from asr_lab.errors import DataError

SPEED_OF_SOUND = 343.0
"""Metres per second."""
EARLY_S = 0.05
"""Reflections that come within it are those of the room's walls one by one; later ones are noise that decays."""
WALL_M = 0.5
"""No speaker or microphone is nearer to a wall."""
LONGEST_S = 2.0
"""Of a measured response; what lies behind is cut."""


@attrs.frozen
class Room:
    """A box with walls that all swallow the same share of sound, a speaker and a microphone in it; metres."""

    sides: tuple[float, float, float]
    speaker: tuple[float, float, float]
    microphone: tuple[float, float, float]
    t60_s: float
    """Seconds in which sound falls by 60 dB."""


class Reverberation(Augmentation):
    """Speech in a drawn room, or through a drawn recording of one, cut to begin with its loudest arrival.

    It stays as loud and as long as it was, and is not delayed. `recordings` is a folder of impulse responses;
    DataError when it holds none.
    """

    def __init__(
        self,
        probability: float,
        t60_s: tuple[float, float],
        room_m: tuple[float, float],
        recordings: Path | None = None,
    ) -> None:
        self.probability = probability
        self.t60_s = t60_s
        self.room_m = room_m
        self.recordings: tuple[Path, ...] = ()
        if recordings is not None:
            self.recordings = tuple(audio_files(recordings))
            if not self.recordings:
                raise DataError(
                    f"reverb: no recordings under {recordings} (asrlab data prepare rirs_noises fetches some)"
                )

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        rng = generator(key)
        if rng.random() >= self.probability or not len(audio):
            return audio
        if self.recordings:
            path = self.recordings[int(rng.integers(len(self.recordings)))]
            response = read_audio(path, sample_rate)
            response = response[np.argmax(np.abs(response)) :][: round(LONGEST_S * sample_rate)]
        else:
            response = impulse_response(self._room(rng), sample_rate, rng)
        return reverberated(audio, response)

    def _room(self, rng: np.random.Generator) -> Room:
        length, width = rng.uniform(*self.room_m, 2)
        sides = (float(length), float(width), float(rng.uniform(2.4, 4.0)))
        speaker, microphone = (tuple(rng.uniform(WALL_M, np.array(sides) - WALL_M).tolist()) for _ in range(2))
        return Room(sides, speaker, microphone, float(rng.uniform(*self.t60_s)))


def reverberated(audio: Audio, response: Audio) -> Audio:
    """Speech (S,) through an impulse response, which begins with the direct sound: (S,), its power kept."""
    from scipy.signal import fftconvolve

    power = float(np.mean(np.square(audio)))
    if power == 0.0 or not response.any():
        return audio
    found: NDArray[np.float32] = fftconvolve(audio, response)[: len(audio)].astype(np.float32)
    made = float(np.mean(np.square(found)))
    return found * np.float32(math.sqrt(power / made)) if made else audio


def impulse_response(room: Room, sample_rate: int, rng: np.random.Generator) -> Audio:
    """What comes to the microphone of a click of the speaker, from the direct sound on: (t60 * rate,) float32.

    Early: one click for each image of the speaker in the walls (Allen and Berkley, JASA 1979), at the nearest sample.
    Late: noise that decays by 60 dB in t60, as loud as the images where they end (Moorer, CMJ 1979).
    """
    num_samples = max(2, round(room.t60_s * sample_rate))
    response = np.zeros(num_samples)
    early = min(round(EARLY_S * sample_rate), num_samples)
    delays, loudness = images(room, EARLY_S)
    places = np.rint((delays - delays.min()) * sample_rate).astype(np.int64)
    np.add.at(response, places[places < early], loudness[places < early])
    if early < num_samples:
        decay = 10 ** (-3 * np.arange(num_samples) / num_samples)
        tail = rng.standard_normal(num_samples - early)
        last = slice(early // 2, early)
        level = math.sqrt(np.mean(np.square(response[last])) / np.mean(np.square(decay[last])))
        response[early:] = level * decay[early:] * tail
    return response.astype(np.float32)


def images(room: Room, within_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Delays in seconds and amplitudes of the speaker's images whose sound arrives within a time: (N,), (N,).

    A wall's reflection follows from t60 by Eyring's formula. The direct sound is always there.
    """
    sides, reach = np.array(room.sides), within_s * SPEED_OF_SOUND
    volume = float(sides.prod())
    surface = 2 * float(sides[0] * sides[1] + sides[1] * sides[2] + sides[0] * sides[2])
    reflection = math.exp(-0.161 * volume / (surface * room.t60_s) / 2)
    counts = np.ceil(reach / (2 * sides)).astype(int)
    axes = []
    for axis, count in enumerate(counts):
        shift, mirror = np.meshgrid(np.arange(-count, count + 1), (0, 1), indexing="ij")
        place = (1 - 2 * mirror) * room.speaker[axis] + 2 * shift * sides[axis] - room.microphone[axis]
        axes.append((place.ravel(), (np.abs(shift - mirror) + np.abs(shift)).ravel()))
    (x, nx), (y, ny), (z, nz) = axes
    distance = np.sqrt(x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2).ravel()
    bounces = (nx[:, None, None] + ny[None, :, None] + nz[None, None, :]).ravel()
    in_time = (distance <= reach) | (bounces == 0)
    distance, bounces = np.maximum(distance[in_time], 0.01), bounces[in_time]
    return distance / SPEED_OF_SOUND, reflection**bounces / (4 * np.pi * distance)
