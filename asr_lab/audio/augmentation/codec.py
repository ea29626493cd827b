"""What codecs and narrow lines leave of speech."""

from __future__ import annotations

import io
from collections.abc import Sequence

import attrs
import numpy as np
import soundfile

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.keyed_random import generator
from asr_lab.audio.resampling import Audio, resample


@attrs.frozen
class Codec:
    """One of libsndfile's."""

    format: str
    subtype: str
    rates: tuple[int, ...]
    """Those that it takes."""
    has_levels: bool = False
    """Whether it can be told how much to leave out."""


STRONGEST = 0.99
"""LAME refuses 1."""
TELEPHONE = (8_000,)
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
CODECS = {
    "mu_law": Codec("WAV", "ULAW", TELEPHONE),
    "a_law": Codec("WAV", "ALAW", TELEPHONE),
    "gsm": Codec("WAV", "GSM610", TELEPHONE),
    "mp3": Codec("MP3", "MPEG_LAYER_III", MP3_RATES, has_levels=True),
    "vorbis": Codec("OGG", "VORBIS", MP3_RATES, has_levels=True),
    "opus": Codec("OGG", "OPUS", OPUS_RATES, has_levels=True),
}


class CodecLoss(Augmentation):
    """Speech coded and decoded by a drawn codec, at a drawn share of its strongest compression."""

    def __init__(self, codecs: Sequence[str], probability: float, compression: tuple[float, float]) -> None:
        self.codecs = tuple(CODECS[name] for name in codecs)
        self.probability = probability
        self.compression = compression

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        rng = generator(key)
        if rng.random() >= self.probability or not len(audio):
            return audio
        codec, level = self.codecs[int(rng.integers(len(self.codecs)))], float(rng.uniform(*self.compression))
        return coded(audio, sample_rate, codec, level)


class BandwidthLoss(Augmentation):
    """Speech as a recording of a drawn lower rate has it."""

    def __init__(self, sample_rates: Sequence[int], probability: float) -> None:
        self.sample_rates = tuple(sample_rates)
        self.probability = probability

    def waveform(self, audio: Audio, sample_rate: int, key: int) -> Audio:
        rng = generator(key)
        if rng.random() >= self.probability:
            return audio
        rate = self.sample_rates[int(rng.integers(len(self.sample_rates)))]
        if rate >= sample_rate:
            return audio
        return resample(resample(audio, sample_rate, rate), rate, sample_rate)[: len(audio)]


def coded(audio: Audio, sample_rate: int, codec: Codec, level: float) -> Audio:
    """The same sound (S,) after a codec; where that does not take the rate, it is given the next one that it does.

    `level` is 0 for the least compression and 1 for the most.
    """
    rate = min((r for r in codec.rates if r >= sample_rate), default=codec.rates[-1])
    file = io.BytesIO()
    with soundfile.SoundFile(
        file,
        "w",
        samplerate=rate,
        channels=1,
        format=codec.format,
        subtype=codec.subtype,
        compression_level=min(level, STRONGEST) if codec.has_levels else None,
    ) as writer:
        writer.write(np.clip(resample(audio, sample_rate, rate), -1, 1))
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    found = resample(decoded, rate, sample_rate)[: len(audio)]
    return np.concatenate([found, np.zeros(len(audio) - len(found), dtype=np.float32)])
