"""The graph of a model: named nodes with shapes, rates, parameters and cost, read off the built meta module."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import attrs
import torch
from torch import nn

from asr_lab.compiler.cost import Costs, Unfilled
from asr_lab.compiler.facts import kind
from asr_lab.compiler.model import build_context, build_model
from asr_lab.nn.decoder import DecoderHead, Targets
from asr_lab.number_formats import LOW_PRECISIONS, tile
from asr_lab.recipe import Encoder, Recipe
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.features import Features
from asr_lab.streaming import Context, Frames, Streamable
from asr_lab.training.precision.conversion import LayerPrecision, layers
from asr_lab.units import s_to_frames, samples_to_ms

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


def precision_layers(recipe: Recipe) -> tuple[LayerPrecision, ...]:
    """What each linear layer is trained in; none where that is the same for all. No weight is allocated."""
    asked = recipe.precision.asked
    if asked.format not in LOW_PRECISIONS:
        return ()
    with torch.device("meta"), Unfilled():
        model = build_model(recipe.features, recipe.encoder, recipe.decoder, recipe.tokenizer.size)
    return layers(model, tile(asked))


def graph(features: Features, encoder: Encoder, decoders: Sequence[Decoder], vocab_size: int) -> Graph:
    """The graph of the model of these sections."""
    names = encoder.layer_names
    with torch.device("meta"), Unfilled():
        extractor = features.build()
        stem = encoder.stem.build(features.dim, encoder.dim)
        layers = {name: encoder.block[name].build(encoder.dim, encoder.dropout) for name in dict.fromkeys(names)}
        heads = [d.build(encoder.dim, vocab_size, encoder.dropout) for d in decoders]
    context = build_context(encoder.contexts[0], features.frame_ms)
    tracer = _Tracer(context, features.frame_ms, features.dim)
    nodes = [_features_node(features, extractor), tracer.layer("stem", encoder.stem.tag(), stem, encoder.stem)]
    for number, name in enumerate(names):
        block = encoder.block[name]
        nodes.append(tracer.layer(f"layers.{number}", kind(block), layers[name], block))
    for section, head in zip(decoders, heads, strict=True):
        nodes.append(tracer.head(section, head, len(names) if section.tap is None else section.tap))
    return Graph(tuple(nodes), context)


def _features_node(features: Features, extractor: Streamable[Any]) -> Node:
    rate_ms = float(features.frame_ms)
    hop_ms = None if features.whole_because is not None else rate_ms
    look_ms = samples_to_ms(extractor.lookahead_frames, features.sample_rate)
    return Node(
        "features", features.tag(), ("B", "T", str(features.dim)), rate_ms, hop_ms, look_ms, _count(extractor), 0.0
    )


class _Tracer:
    """Follows frames through meta layers; of layers of one table and one input shape one runs."""

    def __init__(self, context: Context, frame_ms: Fraction, dim: int) -> None:
        self.context = context
        self.frame_ms = frame_ms
        self.frames = Frames.whole(torch.zeros(1, s_to_frames(MEASURED_S, frame_ms), dim))
        self.reached: list[tuple[Frames, Fraction]] = []
        """Frames and their rate after each part of the encoder."""
        self._costs = Costs()
        self._known: dict[tuple[Any, Context, tuple[int, ...]], tuple[int, Frames]] = {}

    def layer(self, name: str, kind: str, layer: Streamable[Any], section: Any) -> Node:
        """The node of the encoder's next part."""
        key = (section, self.context, tuple(self.frames.x.shape))
        if key not in self._known:
            cost, (_, frames) = self._costs.of(layer.eval(), self.frames, self._step)
            self._known[key] = cost, frames
        cost, self.frames = self._known[key]
        hop = layer.hop_frames(self.context)
        hop_ms = None if hop is None else float(hop * self.frame_ms)
        look_ms = float(layer.lookahead_frames * self.frame_ms)
        self.context, self.frame_ms = self.context.after(layer.ratio), self.frame_ms / layer.ratio
        self.reached.append((self.frames, self.frame_ms))
        shape = ("B", "T" if layer.ratio == 1 else f"T*{layer.ratio}", str(self.frames.x.shape[-1]))
        return Node(name, kind, shape, float(self.frame_ms), hop_ms, look_ms, _count(layer), cost / MEASURED_S)

    def _step(self, layer: Streamable[Any], frames: Frames) -> tuple[Any, Frames]:
        return layer(layer.initial_state(1, self.context), frames, self.context)

    def head(self, section: Decoder, head: DecoderHead, tap: int) -> Node:
        """The node of a decoder that reads after `tap` layers."""
        frames, frame_ms = self.reached[tap]
        count = TOKENS_PER_S * MEASURED_S
        while count > 1 and not section.fits(frames.x.shape[1], range(count)):
            count -= 1
        cost, logits = self._costs.of(head.eval(), frames, functools.partial(_logits, count))
        rate_ms = float(frame_ms) if logits.shape[1] == frames.x.shape[1] else 0.0
        shape = ("B", "T" if rate_ms else "U", str(logits.shape[2]))
        tag = section.tag()
        return Node(f"decoder.{tag}", tag, shape, rate_ms, rate_ms or None, 0.0, _count(head), cost / MEASURED_S)


def _logits(count: int, head: DecoderHead, frames: Frames) -> torch.Tensor:
    told = torch.zeros(1, dtype=torch.int64, device=frames.x.device)
    return head.logits(frames, Targets.of([[0] * count], frames.x.device)._replace(languages=told))


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
