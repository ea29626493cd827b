"""What checking a recipe needs to know of features, without arrays: whether its filters can be had, and can stream."""

from __future__ import annotations

import math
from typing import Literal

from asr_lab.units import ms_to_samples

Name = Literal["whisper", "kaldi", "nemo"]
Floor = Literal["utterance", "fixed"]
Level = Literal["none", "utterance", "running"]

MAX_FILTER_VALUES = 1 << 24
"""No bank of filters is larger, filters times points of the spectrum."""
LINEAR_HZ = 200.0 / 3
"""Hz per mel on Slaney's scale, below the break (Auditory Toolbox 1998)."""
BREAK_HZ = 1000.0
"""Where Slaney's scale turns logarithmic."""
LOG_STEP = math.log(6.4) / 27.0
"""Natural logarithm of the frequency per mel above the break."""


def slaney_mel(hz: float) -> float:
    """Slaney's mel scale: linear below 1 kHz, logarithmic above."""
    return hz / LINEAR_HZ if hz < BREAK_HZ else BREAK_HZ / LINEAR_HZ + math.log(hz / BREAK_HZ) / LOG_STEP


def slaney_hz(mel: float) -> float:
    """The inverse of `slaney_mel`."""
    linear = BREAK_HZ / LINEAR_HZ
    return mel * LINEAR_HZ if mel < linear else BREAK_HZ * math.exp(LOG_STEP * (mel - linear))


def kaldi_mel(hz: float) -> float:
    """Kaldi's mel scale, 1127 ln(1 + f / 700)."""
    return 1127.0 * math.log1p(hz / 700.0)


def kaldi_hz(mel: float) -> float:
    """The inverse of `kaldi_mel`."""
    return 700.0 * math.expm1(mel / 1127.0)


def num_points(name: Name, window_samples: int) -> int:
    """Points of the Fourier transform: the window itself for Whisper, else the next power of two."""
    return window_samples if name == "whisper" else 1 << (window_samples - 1).bit_length()


def frequency_range(name: Name, sample_rate: int, low_hz: float | None, high_hz: float | None) -> tuple[float, float]:
    """Where the first filter begins and the last one ends, in Hz."""
    low = (20.0 if name == "kaldi" else 0.0) if low_hz is None else low_hz
    return low, sample_rate / 2 if high_hz is None else high_hz


def check_bands(
    name: Name,
    sample_rate: int,
    num_mels: int,
    window_ms: float,
    hop_ms: float,
    low_hz: float | None,
    high_hz: float | None,
) -> None:
    """ValueError when these filters cannot be had: samples lost between windows, or filters between two points."""
    window, hop = ms_to_samples(window_ms, sample_rate), ms_to_samples(hop_ms, sample_rate)
    if window < hop:
        raise ValueError(
            f"a window of {window_ms:g} ms is shorter than the hop of {hop_ms:g} ms: samples would be lost"
        )
    low, high = frequency_range(name, sample_rate, low_hz, high_hz)
    if not 0 <= low < high <= sample_rate / 2:
        raise ValueError(f"mel filters from {low:g} to {high:g} Hz do not fit into 0 to {sample_rate / 2:g} Hz")
    points = num_points(name, window)
    if num_mels * points > MAX_FILTER_VALUES:
        raise ValueError(
            f"{num_mels} mel filters over {points} points of the spectrum are more than {MAX_FILTER_VALUES:,} values: "
            "choose fewer (num_mels), a shorter window (window_ms) or a lower sample_rate"
        )
    spacing = sample_rate / points
    empty = _num_empty(name, num_mels, low, high, spacing, sample_rate / 2)
    if empty:
        raise ValueError(
            f"{empty} of {num_mels} mel filters lie between two points of the spectrum, which are {spacing:g} Hz apart "
            f"at {sample_rate} Hz, and would never move: choose fewer (num_mels) or a longer window (window_ms)"
        )


def _num_empty(name: Name, num_mels: int, low: float, high: float, spacing: float, half_hz: float) -> int:
    to_mel, to_hz = (kaldi_mel, kaldi_hz) if name == "kaldi" else (slaney_mel, slaney_hz)
    first, last = to_mel(low), to_mel(high)
    edges = [to_hz(first + (last - first) * i / (num_mels + 1)) for i in range(num_mels + 2)]
    return sum(not _holds_a_point(edges[i], edges[i + 2], spacing, half_hz) for i in range(num_mels))


def _holds_a_point(low: float, high: float, spacing: float, half_hz: float) -> bool:
    """Whether a point of the spectrum lies inside both ends; rounding at an edge counts as outside."""
    point = (math.floor(low / spacing + 1e-9) + 1) * spacing
    return point < high - 1e-9 * spacing and point <= half_hz


def whole_because(floor: Floor, level: Level) -> tuple[str, str] | None:
    """The setting for which features need the whole utterance, and why; None when they stream."""
    if floor == "utterance":
        why = 'floor = "utterance" lies below the loudest frame of the whole utterance; floor = "fixed" streams'
        return "floor", why
    if level == "utterance":
        why = 'level = "utterance" is the mean and deviation of the whole utterance; "running" and "none" stream'
        return "level", why
    return None
