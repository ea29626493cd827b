"""The only conversions between milliseconds, samples and frames."""

from __future__ import annotations

from fractions import Fraction


def ms_to_samples(ms: float, rate_hz: int) -> int:
    """Samples in `ms` milliseconds at `rate_hz`; raises ValueError when that is not a whole number."""
    samples = Fraction(str(ms)) * rate_hz / 1000
    if samples.denominator != 1:
        raise ValueError(f"{ms} ms at {rate_hz} Hz is {float(samples):g} samples, not a whole number")
    return int(samples)


def ms_to_frames(ms: float, frame_ms: Fraction) -> int:
    """Frames of `frame_ms` milliseconds in `ms`; raises ValueError when that is not a whole number."""
    frames = Fraction(str(ms)) / frame_ms
    if frames.denominator != 1:
        raise ValueError(f"{ms:g} ms is not a whole number of frames of {float(frame_ms):g} ms")
    return int(frames)


def s_to_samples(seconds: float, rate_hz: int) -> int:
    """Samples in `seconds` at `rate_hz`, to the nearest."""
    return round(seconds * rate_hz)


def samples_to_s(samples: int, rate_hz: int) -> float:
    """Seconds that `samples` last at `rate_hz`."""
    return samples / rate_hz


def frames_to_s(frames: float, frame_ms: Fraction) -> float:
    """Seconds that `frames` of `frame_ms` milliseconds last."""
    return float(frames * frame_ms / 1000)


def samples_to_ms(samples: int, rate_hz: int) -> float:
    """Milliseconds that `samples` last at `rate_hz`."""
    return 1000 * samples / rate_hz


def frames_to_ms(frames: float, frame_ms: Fraction) -> float:
    """Milliseconds that `frames` of `frame_ms` milliseconds last."""
    return float(frames * frame_ms)


def s_to_ms(seconds: float) -> float:
    """Milliseconds in `seconds`."""
    return 1000 * seconds


def s_to_frames(seconds: float, frame_ms: Fraction) -> int:
    """Whole frames of `frame_ms` milliseconds in `seconds`."""
    return int(Fraction(str(seconds)) * 1000 / frame_ms)


def samples_per_frame(frame_ms: Fraction, rate_hz: int) -> int:
    """Whole samples from one frame to the next."""
    return int(frame_ms * rate_hz / 1000)


def sample_ms(rate_hz: int) -> Fraction:
    """Milliseconds from one sample to the next."""
    return Fraction(1000, rate_hz)
