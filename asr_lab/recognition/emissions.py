"""A CTC decoder's log-probabilities over a recording of any length; what is in memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.streaming import WHOLE, Chain, Context, Frames, Streamable, run_whole
from asr_lab.streaming.session import Sessions
from asr_lab.units import s_to_samples

WINDOW_S = 30.0
"""A model that needs whole utterances is given a longer recording in windows of so many seconds,"""
MARGIN_S = 5.0
"""and, on either side, so many seconds more, whose frames are not used."""
STEP_S = 10.0
"""A model that streams is stepped by about so many seconds."""


class Window(NamedTuple):
    """A stretch of samples that is encoded as an utterance of its own."""

    samples: Tensor  # (S,)
    first_frame: int
    """The first of its frames that is used."""
    num_frames: int | None
    """How many are; None = all that follow: it is the last window."""


class Emissions:
    """The frames of a model's CTC decoder, head number `place` of it, in one context.

    In a context in which model and features stream, a recording is one stream: its frames are those of the whole
    (the streaming law). Elsewhere up to 35 seconds are encoded whole, and longer recordings in windows that overlap.
    """

    def __init__(
        self,
        model: SpeechModel,
        features: Streamable[Any],
        place: int,
        context: Context,
        sample_rate: int,
        device: torch.device | str,
    ) -> None:
        self._model, self._features, self._place, self._context = model, features, place, context
        head = model.heads[place]
        assert isinstance(head, CTCHead)
        self._head, self._rate, self._device = head, sample_rate, device
        self._chain = Chain([features, *list(model.encoder)[: model.taps[place]]])
        self._in_samples = context.after(1 / features.ratio)

    @torch.no_grad()
    def pieces(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Log-probabilities (T, V) of the frames of samples (S,) that come in blocks; the model is in eval mode."""
        hop = self._chain.hop_frames(self._in_samples)
        yield from self._windowed(blocks) if hop is None else self._streamed(blocks, hop)

    def _streamed(self, blocks: Iterable[Tensor], hop_samples: int) -> Iterator[Tensor]:
        max_hops = max(1, s_to_samples(STEP_S, self._rate) // hop_samples)
        sessions = Sessions(self._chain, self._in_samples, max_streams=1, max_hops=max_hops)
        stream, enough = sessions.open(), max_hops * hop_samples
        for block in blocks:
            sessions.push(stream, block)
            if sessions.buffered_frames(stream) >= enough + sessions.lookahead_frames:
                yield from self._steps(sessions, stream)
        sessions.finish(stream)
        yield from self._steps(sessions, stream)

    def _steps(self, sessions: Sessions, stream: int) -> Iterator[Tensor]:
        while outputs := sessions.step():
            yield self._head.log_probs(Frames.whole(outputs[stream].frames[None]))[0]

    def _windowed(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        frame = 1 / self._chain.ratio  # in samples
        for samples, first, count in windows(blocks, frame, self._rate):
            features = run_whole(self._features, Frames.whole(samples[None].to(self._device)), WHOLE)
            encoded = self._model.encode(features, self._context)[self._place]
            log_probs = self._head.log_probs(encoded)[0, : int(encoded.lengths[0])]
            yield log_probs[first:] if count is None else log_probs[first : first + count]


def windows(blocks: Iterable[Tensor], frame: Fraction, sample_rate: int) -> Iterator[Window]:
    """Samples (S,) in windows that begin where a frame of `frame` samples does; together they use every frame once."""
    core, margin = (round(seconds * sample_rate / frame) for seconds in (WINDOW_S, MARGIN_S))
    held, held_samples, start, number = [torch.zeros(0)], 0, 0, 0

    def until(frames: int) -> int:
        return int(frames * frame)

    for block in blocks:
        held.append(block)
        held_samples += len(block)
        while start + held_samples > (end := until((number + 1) * core + margin)):
            samples = torch.cat(held)
            yield Window(samples[: end - start], min(number * core, margin), core)
            number += 1
            dropped = until(number * core - margin) - start
            held, held_samples, start = [samples[dropped:]], held_samples - dropped, start + dropped
    yield Window(torch.cat(held), min(number * core, margin), None)
