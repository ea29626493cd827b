"""Changing the sampling rate of whole recordings, by a polyphase windowed-sinc filter."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

HALF_WIDTH = 24
"""Zero crossings of the sinc on each side, at the lower of the two rates."""
ROLL_OFF = 0.94
"""Edge of the pass band, as a share of the lower rate's Nyquist frequency."""
KAISER_BETA = 8.0
"""Shape of the window: 80 dB of attenuation."""
MIN_HZ, MAX_HZ = 1_000, 768_000
"""Rates outside are no recording's."""
MAX_TERM = 50_000
"""Largest term of a ratio of rates, in lowest terms: the filter has about 48 times as many taps."""


def resample(audio: Audio, from_hz: int, to_hz: int) -> Audio:
    """The same sound (S,) at another rate: (ceil(S * to_hz / from_hz),) float32, without delay.

    Only the ratio of the rates counts, so that 10 : 9 slows speech down by a tenth. Source: Crochiere and Rabiner,
    Multirate Digital Signal Processing (1983), chapter 4.
    """
    up, down = ratio_of(from_hz, to_hz)
    if up == down or not len(audio):
        return audio
    from scipy.signal import upfirdn

    taps = kernel(up, down).astype(np.float32)
    num_samples = -(-len(audio) * up // down)
    # Zeros behind the end let the filter run out; its centre is at tap `half`, a multiple of `down`.
    half = len(taps) // 2
    padded = np.concatenate([audio, np.zeros(-(-half // up), dtype=np.float32)])
    filtered: NDArray[Any] = upfirdn(taps, padded, up, down)
    return np.ascontiguousarray(filtered[half // down :][:num_samples], dtype=np.float32)


def at_speed(audio: Audio, speed: float) -> Audio:
    """The same sound (S,) played at a speed, pitch included: 1.1 is a tenth faster."""
    ratio = speed_ratio(speed)
    return resample(audio, ratio.numerator, ratio.denominator)


@functools.lru_cache(maxsize=64)
def speed_ratio(speed: float) -> Fraction:
    """A speed as a ratio of small numbers, which make a short filter: two decimals of it count.

    Audio of "rate" a played at "rate" b has the speed a/b.
    """
    return Fraction(str(speed)).limit_denominator(100)


def ratio_of(from_hz: int, to_hz: int) -> tuple[int, int]:
    """Samples out for samples in, in lowest terms; ValueError for rates that are not above 0."""
    if from_hz <= 0 or to_hz <= 0:
        raise ValueError(f"rates must be above 0, got {from_hz} and {to_hz}")
    divisor = math.gcd(from_hz, to_hz)
    return to_hz // divisor, from_hz // divisor


def refused_rates(from_hz: int, to_hz: int) -> str:
    """Why these rates are not resampled: absurd ones, and a ratio that takes too large a filter; "" where they are."""
    if from_hz == to_hz:
        return ""
    if not MIN_HZ <= from_hz <= MAX_HZ:
        return absurd_rate(from_hz)
    return odd_ratio(from_hz, to_hz) if max(ratio_of(from_hz, to_hz)) > MAX_TERM else ""


def absurd_rate(hz: int) -> str:
    """What is wrong with a rate that no recording has."""
    return f"a sample rate of {hz:,} Hz; {MIN_HZ:,} to {MAX_HZ:,} Hz can be resampled"


def odd_ratio(from_hz: int, to_hz: int) -> str:
    """What is wrong with a ratio whose terms are too large, and the way out."""
    up, down = ratio_of(from_hz, to_hz)
    ratio = f"{from_hz:,} Hz to {to_hz:,} Hz is {down:,} : {up:,} in lowest terms"
    return f"{ratio}, which takes too large a filter; give a usual rate, such as 16,000, 44,100 or 48,000 Hz"


def resampled_length(num_samples: int, from_hz: int, to_hz: int) -> int:
    """Samples that `resample` gives for `num_samples`."""
    return -(-num_samples * to_hz // from_hz)


def half_width(up: int, down: int) -> int:
    """Taps on each side of the filter's middle, a multiple of `down`."""
    return -(-HALF_WIDTH * max(up, down) // down) * down


@functools.lru_cache(maxsize=64)
def kernel(up: int, down: int) -> NDArray[np.float64]:
    """The filter's taps at `up` times the input rate; the one in the middle lies at a multiple of `down`."""
    slower, half = max(up, down), half_width(up, down)
    time = np.arange(-half, half + 1) / slower
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (time * slower / half) ** 2, 0, 1))) / np.i0(KAISER_BETA)
    taps = ROLL_OFF * np.sinc(ROLL_OFF * time) * window
    scaled: NDArray[np.float64] = taps * up / taps.sum()  # each phase passes a constant unchanged
    return scaled
