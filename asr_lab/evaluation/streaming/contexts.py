"""Which contexts a trained model is compared in, and why it cannot stream in others."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

from asr_lab.models.model import SpeechModel
from asr_lab.recognition.live import live_context
from asr_lab.streaming import WHOLE, Chain, Context, Streamable
from asr_lab.streaming.session import needs_whole_because
from asr_lab.units import frames_to_ms, sample_ms, samples_to_ms

USUAL_MS: tuple[float | None, ...] = (80, 160, 320, 640, 1280, None)
"""Chunks that models are compared at besides those that they were trained with; None = the whole utterance."""


@attrs.frozen
class AlgorithmicDelay:
    """How long a sound waits for the encoder, were computing free: what is made of it hangs on audio to its right."""

    window_ms: float
    """The right half of the features' window."""
    stem_ms: float
    """The lookahead of stem and blocks beyond a chunk."""
    chunk_ms: float
    """What a stream waits for before it computes."""

    @property
    def worst_ms(self) -> float:
        """Of the first sound of a chunk."""
        return self.window_ms + self.stem_ms + self.chunk_ms

    @property
    def mean_ms(self) -> float:
        """Over all sounds: half a chunk less."""
        return self.worst_ms - self.chunk_ms / 2


@attrs.frozen
class Candidate:
    """A context to compare in."""

    label: str
    """`320 ms`, `whole`."""
    chunk_ms: float | None
    """None = the whole utterance."""
    left_ms: float | None
    context: Context
    """In feature frames."""
    trained: bool
    delay: AlgorithmicDelay | None
    """None where the utterance is needed whole."""


@attrs.frozen
class Refused:
    """A context that the model cannot stream in."""

    label: str
    reason: str


@attrs.frozen(eq=False)
class StreamingChain:
    """A model's features and encoder as one chain over samples."""

    chain: Chain
    names: tuple[str, ...]
    """Of the chain's parts, as a user knows them."""
    reasons: Mapping[str, str]
    """Why a part needs the whole utterance, by its name, where its section says so."""
    frame_ms: Fraction
    """Of a feature frame."""
    sample_rate: int

    @staticmethod
    def of(
        model: SpeechModel,
        features: Streamable[Any],
        names: Sequence[str],
        reasons: Mapping[str, str],
        sample_rate: int,
    ) -> StreamingChain:
        """A model; `names` are of its encoder's parts, `reasons` also of `features`."""
        frame_ms = sample_ms(sample_rate) / features.ratio
        return StreamingChain(Chain([features, *model.encoder]), ("features", *names), reasons, frame_ms, sample_rate)

    def in_samples(self, context: Context) -> Context:
        """A context that is in feature frames."""
        return context.after(1 / next(iter(self.chain)).ratio)

    def delay(self, context: Context) -> AlgorithmicDelay | None:
        """How long a sound waits in a context in feature frames; None where the utterance is needed whole."""
        hop = self.chain.hop_frames(self.in_samples(context))
        if hop is None:
            return None
        window = next(iter(self.chain)).lookahead_frames
        stem = self.chain.lookahead_frames - window
        window_ms, stem_ms, chunk_ms = (samples_to_ms(n, self.sample_rate) for n in (window, stem, hop))
        return AlgorithmicDelay(window_ms, stem_ms, chunk_ms)

    def check_chunk(self, chunk_ms: float | None) -> None:
        """ValueError when a chunk is not a whole number of the stack's frames."""
        ratios = itertools.accumulate((part.ratio for part in list(self.chain)[1:]), operator.mul, initial=Fraction(1))
        stack_ms = self.frame_ms / min(ratios)
        if chunk_ms is not None and (Fraction(str(chunk_ms)) / stack_ms).denominator != 1:
            raise ValueError(f"not a whole number of the stack's frames of {float(stack_ms):g} ms")

    def candidate(self, label: str, context: Context, *, trained: bool) -> Candidate:
        """A context in feature frames, described."""
        chunk_ms, left_ms = (_ms(n, self.frame_ms) for n in (context.chunk_frames, context.left_frames))
        return Candidate(label, chunk_ms, left_ms, context, trained, self.delay(context))

    def whole_because(self, context: Context) -> str:
        """Which part needs the whole utterance in a context in feature frames, and why."""
        seen = self.in_samples(context)
        for name, part in zip(self.names, self.chain, strict=True):
            if part.hop_frames(seen) is None:
                return f"{name}: {self.reasons.get(name) or needs_whole_because(part, seen)}"
            seen = seen.after(part.ratio)
        return "no part does"


def choose(
    model: SpeechModel, chain: StreamingChain, wanted_ms: Sequence[float | None] = ()
) -> tuple[list[Candidate], list[Refused]]:
    """The contexts to compare in, shortest chunk first, and those that the stack cannot serve.

    `wanted_ms` are chunks, None = whole; none given = those that the model was trained with, and the usual ones. A
    chunk has the past that it was trained with (each, where there are several), another one the longest that any was.
    """
    candidates: list[Candidate] = []
    refused: list[Refused] = []
    trained = [context for context, _ in model.contexts]
    trained_ms = [_ms(c.chunk_frames, chain.frame_ms) for c in trained]
    chunks_ms = dict.fromkeys(wanted_ms or (*trained_ms, *USUAL_MS))
    for chunk_ms in sorted(chunks_ms, key=lambda ms: float("inf") if ms is None else ms):
        same = [c for c, ms in zip(trained, trained_ms, strict=True) if ms == chunk_ms]
        label = "whole" if chunk_ms is None else f"{chunk_ms:g} ms"
        try:
            chain.check_chunk(chunk_ms)
            untrained = [WHOLE if chunk_ms is None else live_context(model, chain.frame_ms, chunk_ms)]
            for context in same or untrained:
                own = f"{label}, left {_ms(context.left_frames, chain.frame_ms):g} ms" if len(same) > 1 else label
                candidate = chain.candidate(own, context, trained=bool(same))
                if candidate.delay is None and chunk_ms is not None:
                    raise ValueError(chain.whole_because(context))
                candidates.append(candidate)
        except ValueError as error:
            refused.append(Refused(label, str(error)))
    return candidates, refused


def _ms(frames: int | None, frame_ms: Fraction) -> float | None:
    return None if frames is None else frames_to_ms(frames, frame_ms)
