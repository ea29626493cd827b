"""Slot `[features]`: from a waveform to frames of features."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from asr_lab.config.section import Slot
from asr_lab.slots import NeedsWhole
from asr_lab.units import samples_per_frame

if TYPE_CHECKING:
    from asr_lab.streaming import Streamable


class Features(Slot):
    """The model's input: features of a waveform."""

    sample_rate: int
    """Samples per second that the features are made from; audio is resampled to it."""

    @property
    def frame_ms(self) -> Fraction:  # type: ignore[empty-body]
        """Milliseconds from one frame to the next."""

    def num_frames(self, num_samples: int) -> int:
        """Frames of a whole recording of so many samples at `sample_rate`."""
        return num_samples // samples_per_frame(self.frame_ms, self.sample_rate)

    @property
    def dim(self) -> int:  # type: ignore[empty-body]
        """Values per frame, F."""

    @property
    def whole_because(self) -> NeedsWhole | None:
        """Why these features need the whole utterance; None when they stream."""
        return None

    def build(self) -> Streamable[Any]:
        """The layer from samples (B, S) to features (B, T, F), float32."""
        raise NotImplementedError
