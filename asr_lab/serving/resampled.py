"""One client's audio at the model's rate."""

from __future__ import annotations

import functools

import torch

from asr_lab.audio.streaming_resampler import Resampler
from asr_lab.serving.queue import Audio
from asr_lab.streaming import WHOLE, Frames


class Resampled:
    """A stream at another rate: `push` what comes, `finish` gives what the filter still holds."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._layer = None if from_hz == to_hz else _resampler(from_hz, to_hz)
        self._state = self._layer.initial_state(1, WHOLE) if self._layer else None

    def push(self, audio: Audio) -> Audio:
        """What can be given of the output after these samples (S,)."""
        return self._step(audio, final=False)

    def finish(self) -> Audio:
        """The rest of the output."""
        return self._step(torch.zeros(0).numpy(), final=True)

    @torch.inference_mode()
    def _step(self, audio: Audio, final: bool) -> Audio:
        if self._layer is None or self._state is None:
            return audio
        x = torch.from_numpy(audio)[None]
        chunk = Frames(x, torch.tensor([x.shape[1]]), torch.tensor([final]))
        self._state, out = self._layer(self._state, chunk, WHOLE)
        resampled: Audio = out.x[0, : int(out.lengths[0])].numpy()
        return resampled


@functools.lru_cache(maxsize=16)
def _resampler(from_hz: int, to_hz: int) -> Resampler:
    """One filter for all clients of a rate: it carries no state of its own."""
    return Resampler(from_hz, to_hz)
