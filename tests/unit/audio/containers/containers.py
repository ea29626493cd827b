"""Recordings in every container, made on the spot, and the ways of reading them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from asr_lab.audio.live_sources import file_samples
from asr_lab.audio.reading import read_audio, read_info

RATE = 16000
KINDS = {
    "wav": ("WAV", "PCM_16"), "wavex": ("WAVEX", "PCM_24"), "float wav": ("WAV", "FLOAT"), "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"), "aiff": ("AIFF", "PCM_16"), "au": ("AU", "PCM_16"), "caf": ("CAF", "PCM_16"),
    "sph": ("NIST", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"), "gsm": ("WAV", "GSM610"), "adpcm": ("WAV", "IMA_ADPCM"),
    "svx": ("SVX", "PCM_16"), "voc": ("VOC", "PCM_16"), "avr": ("AVR", "PCM_16"),
}  # fmt: skip
"""Container and encoding."""
EXACT = ("wav", "wavex", "float wav", "rf64", "w64", "aiff", "au", "caf", "sph")
"""Those whose samples are all of the same bytes."""


def speech(seconds: float = 2.0, rate: int = RATE, seed: int = 0) -> NDArray[np.float32]:
    """A rising tone that comes and goes, with noise, (S,)."""
    time = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * (200 + 300 * time) * time) * (1 + np.sin(5 * time)) / 2
    return (0.3 * tone + np.random.default_rng(seed).normal(0, 0.02, len(time))).astype(np.float32)


def encoded(kind: str, audio: NDArray[np.float32], rate: int = RATE, **how: Any) -> bytes:
    """A recording's bytes."""
    file = io.BytesIO()
    container, encoding = KINDS[kind]
    soundfile.write(file, audio, rate, encoding, format=container, **how)
    return file.getvalue()


def streamed(path: Path, rate: int = RATE) -> NDArray[np.float32]:
    """All that a stream of a recording gives."""
    return torch.cat([torch.zeros(0), *file_samples(path, rate)]).numpy()


READERS: dict[str, Callable[[Path], object]] = {
    "read_info": read_info,
    "read_audio": lambda path: read_audio(path, RATE),
    "file_samples": streamed,
}
