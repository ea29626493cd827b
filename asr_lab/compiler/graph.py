"""The graph of a model: named nodes with shapes, rates, parameters and cost, read off the built meta module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import attrs
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from asr_lab.decoders import Decoder
from asr_lab.features import Features
from asr_lab.models.model import SpeechModel, build_model
from asr_lab.nn.decoding import DecoderHead, Targets
from asr_lab.recipe import Encoder, Recipe
from asr_lab.streaming import Context, Frames, Streamable

MEASURED_S = 10
"""Seconds of audio that the cost is counted over; attention over whole utterances costs more per second when longer."""
TOKENS_PER_S = 4
"""Tokens per second of audio that an attention decoder's cost is counted with."""


@attrs.frozen
class Node:
    """One part of a model."""

    name: str
    """`features`, `stem`, `layers.0`, …, `decoder.ctc`."""
    kind: str
    """The choices it was built from, outermost first: `macaron/mamba2`."""
    shape: tuple[str, ...]
    """Its output: B rows, T frames at this node's rate, and its dimension."""
    rate_ms: float
    """Milliseconds from one output frame to the next; 0 for tokens."""
    hop_ms: float | None
    """Milliseconds of audio that a step in the first context takes a multiple of; None = the whole utterance."""
    lookahead_ms: float
    """Milliseconds to the right of the hop that it needs."""
    parameters: int
    macs_per_s: float
    """Multiply-adds of its matrix products and convolutions, forward, per second of audio."""


@attrs.frozen
class Graph:
    """A model as a list of nodes, in the order that data flows."""

    nodes: tuple[Node, ...]
    context: Context
    """The context that hop and cost are of, in feature frames."""

    @property
    def parameters(self) -> int:
        """Trainable numbers, all nodes together."""
        return sum(n.parameters for n in self.nodes)

    @property
    def macs_per_s(self) -> float:
        """Multiply-adds per second of audio, all nodes together."""
        return sum(n.macs_per_s for n in self.nodes)


def recipe_graph(recipe: Recipe, vocab_size: int | None = None) -> Graph:
    """The graph of a recipe's model; no weight is allocated."""
    size = vocab_size or recipe.tokenizer.size
    return graph(recipe.features, recipe.encoder, recipe.decoder, size)


def graph(features: Features, encoder: Encoder, decoders: Sequence[Decoder], vocab_size: int) -> Graph:
    """The graph of the model of these sections."""
    with torch.device("meta"):
        extractor = features.build()
        model = build_model(features, encoder, decoders, vocab_size)
        model.eval()
        samples = torch.zeros(1, MEASURED_S * features.sample_rate)
        return Graph(tuple(_nodes(features, extractor, encoder, decoders, model, samples)), model.contexts[0][0])


def _nodes(
    features: Features,
    extractor: Streamable[Any],
    encoder: Encoder,
    decoders: Sequence[Decoder],
    model: SpeechModel,
    samples: torch.Tensor,
) -> Iterator[Node]:
    context = model.contexts[0][0]
    frame_ms = Fraction(features.frame_ms)
    sample_ms = Fraction(1000, features.sample_rate)
    num_frames = samples.shape[1] * sample_ms / frame_ms
    x = samples.new_zeros(1, int(num_frames), features.dim)
    hop = None if features.whole_because is not None else float(frame_ms)
    look = float(extractor.lookahead_frames * sample_ms)
    yield Node(
        "features", features.tag(), ("B", "T", str(features.dim)), float(frame_ms), hop, look, _count(extractor), 0.0
    )
    frames = Frames.whole(x, torch.full((1,), x.shape[1], dtype=torch.int64, device="meta"))
    names = ["stem", *(f"layers.{i}" for i in range(len(encoder.layer_names)))]
    kinds = [encoder.stem.tag(), *(_kind(encoder.block[name]) for name in encoder.layer_names)]
    tapped: dict[int, Frames] = {}
    for depth, (name, kind, layer) in enumerate(zip(names, kinds, model.encoder, strict=True), start=1):
        hop_frames = layer.hop_frames(context)
        with FlopCounterMode(display=False) as counter:
            _, frames = layer(layer.initial_state(1, context), frames, context)
        look_ms = float(layer.lookahead_frames * frame_ms)
        hop_ms = None if hop_frames is None else float(hop_frames * frame_ms)
        context, frame_ms = context.after(layer.ratio), frame_ms / layer.ratio
        shape = ("B", "T" if layer.ratio == 1 else f"T*{layer.ratio}", str(frames.x.shape[-1]))
        cost = counter.get_total_flops() / 2 / MEASURED_S
        yield Node(name, kind, shape, float(frame_ms), hop_ms, look_ms, _count(layer), cost)
        tapped[depth] = Frames.whole(frames.x)
    for section, head, tap in zip(decoders, model.heads, model.taps, strict=True):
        assert isinstance(head, DecoderHead)
        cost, size = _head_cost(head, tapped[tap]), str(model.vocab_size)
        rate = float(frame_ms) if head.kind == "ctc" else 0.0
        yield Node(
            f"decoder.{section.tag()}",
            section.tag(),
            ("B", "T" if rate else "U", size),
            rate,
            rate or None,
            0.0,
            _count(head),
            cost,
        )


def _head_cost(head: DecoderHead, frames: Frames) -> float:
    tokens = torch.zeros(1, TOKENS_PER_S * MEASURED_S, dtype=torch.int64, device="meta")
    lengths = torch.full((1,), tokens.shape[1], dtype=torch.int64, device="meta")
    with FlopCounterMode(display=False) as counter:
        head.logits(frames, Targets(tokens, lengths))
    return float(counter.get_total_flops()) / 2 / MEASURED_S


def _kind(section: Any) -> str:
    mixer = getattr(section, "mixer", None)
    return f"{section.tag()}/{mixer.tag()}" if mixer is not None else str(section.tag())


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
