"""The three ways in which log-mel features are defined in the field, each as a set of numbers."""

from __future__ import annotations

import math

import attrs

from asr_lab.audio.features import filters as mel
from asr_lab.audio.features.bounds import Name, check_bands, frequency_range, num_points
from asr_lab.units import ms_to_samples

WHISPER_PEAK = 1.5
"""Loudest log10 mel energy that the fixed floor of Whisper's convention assumes; the floor is 8 decades below.

Seven corpora of read and prompted speech have medians of 0.7 to 1.7. In a recording that is much quieter the fixed
floor hides more than Whisper's own would: at a peak of -2.7 it is three and a half decades too high.
"""


@attrs.frozen(eq=False)
class Convention:
    """Where frames lie, how they are weighted, and how energies become features."""

    hop_samples: int
    """From one frame to the next."""
    left_samples: int
    """Frame t begins this many samples before t * hop_samples."""
    window: mel.Array
    """Weights of a frame's samples, (W,)."""
    n_fft: int
    """Points of the Fourier transform."""
    filters: mel.Array
    """From power to mel energies, (n_fft // 2 + 1, F)."""
    snip: bool
    """Frames lie wholly inside the recording (Kaldi); else there are S // hop_samples, and edges are made up."""
    reflect: bool
    """Edges are mirrored; else they are zeros."""
    signal_preemphasis: float
    """Each sample loses this share of the one before it; 0 = none."""
    frame_preemphasis: float
    """The same within each frame, after its mean was taken off; 0 = neither."""
    least: float
    """Smallest mel energy."""
    added: float
    """Added to every mel energy."""
    decade: float
    """A feature grows by this much when the energy grows tenfold."""
    offset: float
    """The feature of energy 1."""
    fixed_floor: float
    """With `floor = "fixed"`, no feature is below this."""

    @property
    def lookahead_samples(self) -> int:
        """Samples behind a hop that its frame sees."""
        return max(0, len(self.window) - self.left_samples - self.hop_samples)


def convention(
    name: Name,
    sample_rate: int,
    num_mels: int,
    window_ms: float,
    hop_ms: float,
    low_hz: float | None,
    high_hz: float | None,
) -> Convention:
    """The numbers of a convention at a sample rate; ValueError when it cannot be had there."""
    window, hop = ms_to_samples(window_ms, sample_rate), ms_to_samples(hop_ms, sample_rate)
    check_bands(name, sample_rate, num_mels, window_ms, hop_ms, low_hz, high_hz)
    low, high = frequency_range(name, sample_rate, low_hz, high_hz)
    make = {"whisper": _whisper, "kaldi": _kaldi, "nemo": _nemo}[name]
    found = make(sample_rate, window, hop, num_mels, low, high)
    assert found.filters.max(axis=0).min() > 0
    return found


def _whisper(rate: int, window: int, hop: int, num_mels: int, low: float, high: float) -> Convention:
    # The first weight of a periodic window is 0: without it the window is centred, and its lookahead one sample less.
    weights = mel.hann(window, periodic=True)[1:]
    return Convention(
        hop_samples=hop,
        left_samples=window // 2 - 1,
        window=weights,
        n_fft=window,
        filters=mel.slaney_filters(rate, window, num_mels, low, high),
        snip=False,
        reflect=True,
        signal_preemphasis=0.0,
        frame_preemphasis=0.0,
        least=1e-10,
        added=0.0,
        decade=0.25,
        offset=1.0,
        fixed_floor=(WHISPER_PEAK - 8.0 + 4.0) / 4.0,
    )


def _kaldi(rate: int, window: int, hop: int, num_mels: int, low: float, high: float) -> Convention:
    n_fft = num_points("kaldi", window)
    return Convention(
        hop_samples=hop,
        left_samples=0,
        window=mel.povey(window),
        n_fft=n_fft,
        filters=mel.kaldi_filters(rate, n_fft, num_mels, low, high),
        snip=True,
        reflect=False,
        signal_preemphasis=0.0,
        frame_preemphasis=0.97,
        least=2.0**-23,  # single precision's epsilon
        added=0.0,
        decade=math.log(10),
        offset=0.0,
        fixed_floor=-math.inf,
    )


def _nemo(rate: int, window: int, hop: int, num_mels: int, low: float, high: float) -> Convention:
    n_fft = num_points("nemo", window)
    return Convention(
        hop_samples=hop,
        left_samples=window // 2,
        window=mel.hann(window, periodic=False),
        n_fft=n_fft,
        filters=mel.slaney_filters(rate, n_fft, num_mels, low, high),
        snip=False,
        reflect=False,
        signal_preemphasis=0.97,
        frame_preemphasis=0.0,
        least=0.0,
        added=2.0**-24,
        decade=math.log(10),
        offset=0.0,
        fixed_floor=-math.inf,
    )
