"""One stream of samples at another rate, whatever pieces it comes in."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from asr_lab.audio.resampling import refused_rates
from asr_lab.audio.streaming_resampler import Resampler
from asr_lab.errors import DataError
from asr_lab.streaming import WHOLE, Frames


class ResampledStream:
    """The same sound at another rate: `push` what comes, `finish` gives what the filter still holds.

    Together they give what `resampling.resample` makes of the whole; equal rates pass the samples on as they are.
    DataError for rates that cannot be resampled (`refused_rates`) and for a ratio of terms too large for a stream.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if reason := refused_rates(from_hz, to_hz):
            raise DataError(reason)
        self._layer = None if from_hz == to_hz else _resampler(from_hz, to_hz)
        self._state = self._layer.initial_state(1, WHOLE) if self._layer else None

    def push(self, samples: Tensor) -> Tensor:
        """What can be given of the output, (S',) float32, after these samples (S,), any number of them."""
        return self._step(samples, final=False)

    def finish(self) -> Tensor:
        """The rest of the output, (S',)."""
        return self._step(torch.zeros(0), final=True)

    @torch.inference_mode()
    def _step(self, samples: Tensor, final: bool) -> Tensor:
        if self._layer is None or self._state is None:
            return samples
        chunk = Frames(samples[None], torch.tensor([len(samples)]), torch.tensor([final]))
        self._state, out = self._layer(self._state, chunk, WHOLE)
        return out.x[0, : int(out.lengths[0])]


@functools.lru_cache(maxsize=16)
def _resampler(from_hz: int, to_hz: int) -> Resampler:
    """One filter for all streams of a rate: it carries no state of its own."""
    try:
        return Resampler(from_hz, to_hz)
    except ValueError as error:
        raise DataError(str(error)) from error
