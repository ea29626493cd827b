"""Changing the sampling rate of streams: the filter of `resampling`, whatever pieces the samples come in."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.audio.resampling import half_width, kernel, odd_ratio, ratio_of
from asr_lab.audio.windows import rows_from
from asr_lab.streaming import Context, Frames, Streamable, last_valid

MAX_WEIGHTS = 1 << 22
"""Most weights of all phases together: every usual pair of rates has less than a million."""


class ResamplerState(NamedTuple):
    """What `Resampler` carries."""

    past: Tensor  # (B, P), each row's last samples, zeros before the first
    seen: Tensor  # (B,) int64, samples so far


class Resampler(Streamable[ResamplerState]):
    """Samples (B, S) at one rate to the same sound at another, (B, ceil(S * to_hz / from_hz)), without delay.

    Equal to `resampling.resample` however the samples are cut, down to one at a time. It holds back the samples that
    the filter's right half still waits for (`lookahead_frames`), and gives them when a row ends. Computed in single
    precision at least, whatever autocast says. ValueError for rates that are not above 0, and for a ratio of more than
    `MAX_WEIGHTS`: there are about as many as the product of its terms.

    Output m * up + p is a weighted sum of inputs around m * down, with a set of weights for each phase p: one strided
    convolution with a channel for each phase. A step begins at the block of phases that the row has not had whole.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        super().__init__()
        self.up, self.down = ratio_of(from_hz, to_hz)
        self.ratio = Fraction(self.up, self.down)
        half = half_width(self.up, self.down) if self.up != self.down else 0
        self.left = half // self.up
        self.lookahead_frames = (half - self.down) // self.up + 1
        width = self.left + self.down + self.lookahead_frames
        if self.up * width > MAX_WEIGHTS:
            raise ValueError(odd_ratio(from_hz, to_hz))
        taps = kernel(self.up, self.down) if self.up != self.down else np.ones(1)
        # The tap that input `column - left` of a block meets in each phase; -1 where it is beyond the filter.
        meets = half + self.down * np.arange(self.up)[:, None] - self.up * (np.arange(width) - self.left)
        beyond = (meets < 0) | (meets >= len(taps))
        phases = np.where(beyond, 0.0, taps[np.where(beyond, 0, meets)])
        self.register_buffer("phases", torch.from_numpy(phases), persistent=False)
        self.phases: Tensor  # (up, width) float64

    def initial_state(self, batch: int, context: Context) -> ResamplerState:
        past = self.phases.new_zeros(batch, self.left + self.lookahead_frames + self.down - 1)
        return ResamplerState(past, torch.zeros(batch, dtype=torch.int64, device=past.device))

    def forward(self, state: ResamplerState, chunk: Frames, context: Context) -> tuple[ResamplerState, Frames]:
        with torch.autocast(chunk.x.device.type, enabled=False):
            dtype = torch.promote_types(chunk.x.dtype, torch.float32)
            x = torch.cat([state.past.to(dtype), chunk.valid().to(dtype)], 1)
            total = state.seen + chunk.lengths
            given = self._num_given(state.seen, torch.zeros_like(chunk.final))
            lengths = self._num_given(total, chunk.final) - given
            block = given.div(self.up, rounding_mode="floor")
            blocks = math.ceil(int((given + lengths - block * self.up).max()) / self.up) or 1
            first = block * self.down - self.left - (state.seen - state.past.shape[1])
            signal = rows_from(x, first, (blocks - 1) * self.down + self.phases.shape[1])
            y = F.conv1d(signal[:, None], self.phases.to(dtype)[:, None], stride=self.down)  # (B, up, blocks)
            least, most = (int(n) for n in lengths.aminmax())
            y = rows_from(y.transpose(1, 2).flatten(1), given - block * self.up, most)
            past = last_valid(x, chunk, state.past.shape[1]).to(state.past.dtype)
        return ResamplerState(past, total), Frames(y, lengths, chunk.final, least == most)

    def _num_given(self, samples: Tensor, final: Tensor) -> Tensor:
        """Outputs that can be given after so many samples, (B,)."""
        going = ((samples - self.lookahead_frames) * self.up).div(self.down, rounding_mode="floor").clamp(min=0)
        return torch.where(final, -(-samples * self.up).div(self.down, rounding_mode="floor"), going)
