"""Mean and maximum over a window of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import validators as v

from asr_lab.blocks import Mixer
from asr_lab.config.section import section

if TYPE_CHECKING:
    from asr_lab.nn.pooling import Pooling as PoolingLayer


@section
class Pooling(Mixer):
    """Each frame with the mean and the maximum of those around it, through a feed-forward: hears words as a whole.

    Where in the window something was heard is not told.
    """

    window_frames: int = attrs.field(default=7, validator=v.ge(1))
    """Frames in the window, the present one included."""
    causal: bool = True
    """Whether it ends at the present frame; else it is centred, with an odd number of frames."""
    expansion: int = attrs.field(default=2, validator=v.ge(1))
    """Hidden values of the feed-forward per value of the stack."""

    def __attrs_post_init__(self) -> None:
        if not self.causal and self.window_frames % 2 == 0:
            raise ValueError(f"window_frames: must be odd where causal = false, got {self.window_frames}")

    def whole_because(self) -> str | None:
        if self.causal:
            return None
        return "its window is centred (mixer.causal = false) and sees frames to the right of the chunk"

    def build(self, dim: int, dropout: float) -> PoolingLayer:
        from asr_lab.nn.pooling import Pooling as PoolingLayer

        return PoolingLayer(dim, self.window_frames, self.causal, self.expansion * dim, dropout)
