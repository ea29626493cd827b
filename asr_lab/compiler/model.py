"""From the tables of a model to the model."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoder import DecoderHead
from asr_lab.recipe import ContextSpec, Encoder
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.features import Features
from asr_lab.streaming import WHOLE, Chain, Context
from asr_lab.units import ms_to_frames


def build_context(spec: ContextSpec, frame_ms: Fraction) -> Context:
    """A recipe's context in frames of `frame_ms` milliseconds; ValueError when they don't divide it."""
    if spec.chunk_ms is None:
        return WHOLE
    left = None if spec.left_ms is None else ms_to_frames(spec.left_ms, frame_ms)
    return Context(ms_to_frames(spec.chunk_ms, frame_ms), left)


class ModelParts(NamedTuple):
    """What a model is made of; see SpeechModel."""

    encoder: Chain
    heads: list[DecoderHead]
    weights: list[float]
    taps: list[int]
    contexts: list[tuple[Context, float]]
    vocab_size: int


def build_parts(features: Features, encoder: Encoder, decoders: Sequence[Decoder], vocab_size: int) -> ModelParts:
    """The parts of the model of these sections."""
    parts = [encoder.stem.build(features.dim, encoder.dim)]
    parts += [encoder.block[name].build(encoder.dim, encoder.dropout) for name in encoder.layer_names]
    heads = [d.build(encoder.dim, vocab_size, encoder.dropout) for d in decoders]
    return ModelParts(
        Chain(parts),
        heads,
        [d.weight for d in decoders],
        [len(parts) if d.tap is None else d.tap + 1 for d in decoders],
        [(build_context(spec, features.frame_ms), spec.weight) for spec in encoder.contexts],
        vocab_size,
    )


def build_model(features: Features, encoder: Encoder, decoders: Sequence[Decoder], vocab_size: int) -> SpeechModel:
    """The model of these sections; under `torch.device("meta")` it costs no memory."""
    return SpeechModel(*build_parts(features, encoder, decoders, vocab_size))
