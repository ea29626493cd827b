"""Samples and rates that come from Python, checked, as waveforms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from asr_lab.audio.resampling import Audio
from asr_lab.errors import DataError

Samples = ArrayLike | Tensor
"""Samples (S,), or (S, channels): floats whose full scale is 1, or int16."""

INT16_SCALE = 32768
MAX_PEAK = 256.0
"""Beyond this, floats are integers that were not scaled."""
MAX_CHANNELS = 8
"""An array of more channels than this and than samples has its axes the other way round."""


def as_waveform(samples: Samples) -> Audio:
    """The waveform (S,) float32, full scale 1, of samples (S,) or (S, channels); channels are mixed.

    DataError for another shape or type than `Samples`, for values that are not finite, and for floats that are far
    above full scale.
    """
    audio = _scaled(_array(samples))
    if audio.ndim not in (1, 2) or (audio.ndim == 2 and not audio.shape[1]):
        raise DataError(f"samples are (S,) or (S, channels), got an array of shape {audio.shape}")
    if audio.ndim == 2 and audio.shape[1] > max(MAX_CHANNELS, audio.shape[0]):
        raise DataError(f"samples are (S, channels), got the shape {audio.shape}; transpose it")
    mono: Audio = audio if audio.ndim == 1 else audio.mean(axis=1, dtype=np.float32)
    _check_values(mono)
    return np.require(mono, np.float32, ["C", "W"])


def as_rate(sample_rate: Any) -> int:
    """A sample rate in Hz; DataError for what is not a whole number above 0."""
    if sample_rate is None:
        raise DataError("samples need their sample rate in Hz beside them, such as 16000")
    is_number = isinstance(sample_rate, int | float | np.integer | np.floating) and not isinstance(sample_rate, bool)
    if not is_number or not sample_rate > 0 or sample_rate % 1 != 0:
        raise DataError(f"a sample rate is a whole number of Hz above 0, got {sample_rate!r}")
    return int(sample_rate)


def _array(samples: Samples) -> NDArray[Any]:
    try:
        if isinstance(samples, Tensor):
            samples = samples.detach().cpu()
            return (samples.float() if samples.is_floating_point() else samples).numpy()
        return np.asarray(samples)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"these samples make no array of numbers: {error}") from error


def _scaled(array: NDArray[Any]) -> Audio:
    """Samples as float32, full scale 1."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):
            return array.astype(np.float32, copy=False)
    if kind == "i" and size == 2:
        return array.astype(np.float32) / np.float32(INT16_SCALE)
    raise DataError(f"samples are floats whose full scale is 1, or int16; got {array.dtype}")


def _check_values(audio: Audio) -> None:
    if not len(audio):
        return
    peak = float(np.abs(audio).max())  # NaN where one is
    if not np.isfinite(peak):
        first = int(np.flatnonzero(~np.isfinite(audio))[0])
        raise DataError(f"samples hold values that are not finite numbers, first at sample {first}")
    if peak > MAX_PEAK:
        raise DataError(f"samples reach {peak:,.0f}, and full scale is 1: give int16, or divide by {INT16_SCALE}")
