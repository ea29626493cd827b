"""Log-mel energies: the input of nearly every recogniser."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.slots import NeedsWhole
from asr_lab.slots.features import Features
from asr_lab.units import ms_to_samples

if TYPE_CHECKING:
    from asr_lab.audio.features.log_mel import MelSpectrogramExtractor


@section
class LogMel(Features):
    """Logarithms of energies in mel bands, in one of the field's three conventions; no dither."""

    sample_rate: int = attrs.field(default=16000, validator=v.between(1000, 768_000))
    """Samples per second; audio is resampled to it."""
    convention: Literal["whisper", "kaldi", "nemo"] = "nemo"
    """Whose definition of window, filters and logarithm: openai-whisper's, Kaldi's fbank, or NeMo's."""
    floor: Literal["utterance", "fixed"] = "fixed"
    """Lowest value: 8 decades below the utterance's loudest (Whisper's rule, cannot stream), or the same for all."""
    level: Literal["none", "utterance", "running"] = "running"
    """Mean and deviation of each band: as they are, over the utterance (cannot stream), or over the last seconds."""
    num_mels: int = attrs.field(default=80, validator=v.between(4, 1024))
    """Mel bands, F."""
    window_ms: float = attrs.field(default=25.0, validator=v.between(1, 1000))
    """Length of a frame's window."""
    hop_ms: float = attrs.field(default=10.0, validator=v.between(1, 1000))
    """From one frame to the next."""
    low_hz: float | None = attrs.field(default=None, validator=v.optional(v.between(0, 384_000)))
    """Where the first band begins; default: the convention's (Kaldi 20, others 0)."""
    high_hz: float | None = attrs.field(default=None, validator=v.optional(v.above(0, 384_000)))
    """Where the last band ends; default: half the sample rate."""

    def __attrs_post_init__(self) -> None:
        from asr_lab.audio.features.bounds import check_bands

        check_bands(
            self.convention, self.sample_rate, self.num_mels, self.window_ms, self.hop_ms, self.low_hz, self.high_hz
        )

    @property
    def frame_ms(self) -> Fraction:
        return Fraction(str(self.hop_ms))

    def num_frames(self, num_samples: int) -> int:
        if self.convention != "kaldi":
            return super().num_frames(num_samples)
        # Frames lie wholly inside the recording.
        hop, window = (ms_to_samples(ms, self.sample_rate) for ms in (self.hop_ms, self.window_ms))
        return max(0, (num_samples - window) // hop + 1)

    @property
    def dim(self) -> int:
        return self.num_mels

    @property
    def whole_because(self) -> NeedsWhole | None:
        from asr_lab.audio.features.bounds import whole_because

        why = whole_because(self.floor, self.level)
        return None if why is None else NeedsWhole(*why)

    def build(self) -> MelSpectrogramExtractor:
        from asr_lab.audio.features.log_mel import MelSpectrogramExtractor

        return MelSpectrogramExtractor(
            self.convention,
            self.sample_rate,
            self.num_mels,
            self.floor,
            self.level,
            self.window_ms,
            self.hop_ms,
            self.low_hz,
            self.high_hz,
        )
