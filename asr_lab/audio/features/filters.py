"""Mel filter banks and analysis windows of the three conventions, as NumPy arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.features.bounds import BREAK_HZ, LINEAR_HZ, LOG_STEP, slaney_mel

Array = NDArray[np.float64]


def slaney_filters(sample_rate: int, n_fft: int, num_mels: int, low_hz: float, high_hz: float) -> Array:
    """Triangles of unit area, linear in Hz, on Slaney's mel scale (Auditory Toolbox 1998): (n_fft // 2 + 1, F).

    What librosa, Whisper and NeMo use: linear below 1 kHz, logarithmic above.
    """
    edges = _slaney_hz(np.linspace(slaney_mel(low_hz), slaney_mel(high_hz), num_mels + 2))
    bins = _bins_hz(sample_rate, n_fft)
    return _triangles(bins, edges) * (2.0 / (edges[2:] - edges[:-2]))


def kaldi_filters(sample_rate: int, n_fft: int, num_mels: int, low_hz: float, high_hz: float) -> Array:
    """Triangles of unit height, linear in mel, on Kaldi's scale 1127 ln(1 + f / 700): (n_fft // 2 + 1, F).

    As in Kaldi, the bin at half the sample rate is left out.
    """
    edges = np.linspace(_kaldi_mel(low_hz), _kaldi_mel(high_hz), num_mels + 2)
    bins = _kaldi_mel(_bins_hz(sample_rate, n_fft))
    filters = _triangles(bins, edges)
    filters[-1] = 0.0
    return filters


def _bins_hz(sample_rate: int, n_fft: int) -> Array:
    return np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)


def _triangles(bins: Array, edges: Array) -> Array:
    """Rising from edge i to i + 1, falling to i + 2: (number of bins, number of edges - 2)."""
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    return np.maximum(0.0, np.minimum(rising, falling))


def _kaldi_mel(hz: float | Array) -> Array:
    return 1127.0 * np.log1p(np.asarray(hz) / 700.0)


def _slaney_hz(mel: Array) -> Array:
    above = BREAK_HZ * np.exp(LOG_STEP * (mel - BREAK_HZ / LINEAR_HZ))
    return np.where(mel < BREAK_HZ / LINEAR_HZ, mel * LINEAR_HZ, above)


def hann(length: int, periodic: bool) -> Array:
    """Hann's window; a periodic one begins with 0 and ends before it would come back to it."""
    n = np.arange(length)
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * n / (length if periodic else length - 1)))


def povey(length: int) -> Array:
    """Kaldi's window: Hann's to the power of 0.85."""
    return np.asarray(hann(length, periodic=False) ** 0.85)
