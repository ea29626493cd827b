"""The graph of a model: named nodes with shapes, rates, parameters and cost, read off the built meta module."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import attrs
import torch
from torch import nn

from asr_lab.compiler.cost import Unfilled, macs, weightless
from asr_lab.compiler.facts import kind
from asr_lab.compiler.model import build_model
from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoder import DecoderHead, Targets
from asr_lab.recipe import Encoder, Recipe
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.features import Features
from asr_lab.streaming import Context, Frames, Streamable
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


def graph(features: Features, encoder: Encoder, decoders: Sequence[Decoder], vocab_size: int) -> Graph:
    """The graph of the model of these sections."""
    with torch.device("meta"), Unfilled():
        extractor = features.build()
        model = build_model(features, encoder, decoders, vocab_size)
    model.eval()
    tracer = _Tracer(model, Fraction(features.frame_ms), features.dim)
    stem, *layers = model.encoder
    nodes = [_features_node(features, extractor), tracer.layer("stem", encoder.stem.tag(), stem, encoder.stem)]
    for number, (name, layer) in enumerate(zip(encoder.layer_names, layers, strict=True)):
        block = encoder.block[name]
        nodes.append(tracer.layer(f"layers.{number}", kind(block), layer, block))
    for section, head, tap in zip(decoders, model.heads, model.taps, strict=True):
        nodes.append(tracer.head(section, head, tap))
    return Graph(tuple(nodes), model.contexts[0][0])


def _features_node(features: Features, extractor: Streamable[Any]) -> Node:
    rate_ms = float(features.frame_ms)
    hop_ms = None if features.whole_because is not None else rate_ms
    look_ms = samples_to_ms(extractor.lookahead_frames, features.sample_rate)
    return Node(
        "features", features.tag(), ("B", "T", str(features.dim)), rate_ms, hop_ms, look_ms, _count(extractor), 0.0
    )


class _Tracer:
    """Follows frames through a meta model; of layers of one table and one input shape one runs."""

    def __init__(self, model: SpeechModel, frame_ms: Fraction, dim: int) -> None:
        self.model = model
        self.context = model.contexts[0][0]
        self.frame_ms = frame_ms
        self.frames = Frames.whole(torch.zeros(1, s_to_frames(MEASURED_S, frame_ms), dim))
        self.reached: list[tuple[Frames, Fraction]] = []
        """Frames and their rate after each part of the encoder."""
        self._known: dict[tuple[Any, Context, tuple[int, ...]], tuple[int, Frames]] = {}

    def layer(self, name: str, kind: str, layer: Streamable[Any], section: Any) -> Node:
        """The node of the encoder's next part."""
        key = (section, self.context, tuple(self.frames.x.shape))
        if key not in self._known:
            ghost = weightless(layer)
            state = ghost.initial_state(1, self.context)
            cost, (_, frames) = macs(lambda: ghost(state, self.frames, self.context))
            self._known[key] = cost, frames
        cost, self.frames = self._known[key]
        hop = layer.hop_frames(self.context)
        hop_ms = None if hop is None else float(hop * self.frame_ms)
        look_ms = float(layer.lookahead_frames * self.frame_ms)
        self.context, self.frame_ms = self.context.after(layer.ratio), self.frame_ms / layer.ratio
        self.reached.append((self.frames, self.frame_ms))
        shape = ("B", "T" if layer.ratio == 1 else f"T*{layer.ratio}", str(self.frames.x.shape[-1]))
        return Node(name, kind, shape, float(self.frame_ms), hop_ms, look_ms, _count(layer), cost / MEASURED_S)

    def head(self, section: Decoder, head: nn.Module, tap: int) -> Node:
        """The node of a decoder that reads after `tap` parts."""
        assert isinstance(head, DecoderHead)
        frames, frame_ms = self.reached[tap - 1]
        count = TOKENS_PER_S * MEASURED_S
        while count > 1 and not section.fits(frames.x.shape[1], range(count)):
            count -= 1
        targets = Targets(torch.zeros(1, count, dtype=torch.int64), torch.tensor([count]))
        ghost = weightless(head)
        cost, logits = macs(lambda: ghost.logits(frames, targets))
        rate_ms = float(frame_ms) if logits.shape[1] == frames.x.shape[1] else 0.0
        shape = ("B", "T" if rate_ms else "U", str(logits.shape[2]))
        tag = section.tag()
        return Node(f"decoder.{tag}", tag, shape, rate_ms, rate_ms or None, 0.0, _count(head), cost / MEASURED_S)


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
