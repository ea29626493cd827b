"""The contract of a layer that obeys the streaming law, and the composition of such layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from asr_lab.streaming.context import WHOLE, Context
from asr_lab.streaming.frames import Frames

S = TypeVar("S")


class Streamable(nn.Module, Generic[S]):
    """A layer with one body for offline, training and streaming: `forward(state, chunk, context) -> (state, out)`.

    Offline is one long step from a fresh state whose rows are all final. A step is *legal* when, for each row that it
    does not end, the frames given so far number `lookahead_frames` plus a multiple of `hop_frames(context)`, or none.
    State is a NamedTuple (nested or empty ones allowed) of tensors with batch on axis 0, bounded by the context.
    """

    ratio: Fraction = Fraction(1)
    """Frames out per frame in."""
    lookahead_frames: int = 0
    """Frames to the right of the hop that an output needs; the last step of a row sees zeros there."""

    def hop_frames(self, context: Context) -> int | None:
        """Frames that a step takes a multiple of; None = the whole utterance is needed."""
        return 1

    def initial_state(self, batch: int, context: Context) -> S:
        """The state of `batch` rows that have seen nothing."""
        raise NotImplementedError

    def forward(self, state: S, chunk: Frames, context: Context) -> tuple[S, Frames]:
        """One step."""
        raise NotImplementedError

    def recordings(self, x: Tensor, lengths: Tensor) -> Frames:
        """The output over complete utterances, (B, S) padded, whose `lengths` (B,) the host knows.

        A layer that counts frames from lengths does it on the host, where nothing waits for a device.
        """
        return run_whole(self, Frames.whole(x, lengths.to(x.device, non_blocking=True)), WHOLE)

    def zeros(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """What a fresh state is made of: zeros on the weights' device, in their type unless another is given.

        They are made from sizes alone: a weight that lies in shards over several processes would make shards.
        """
        weight = next(itertools.chain(self.parameters(), self.buffers()))
        return torch.zeros(shape, dtype=dtype or weight.dtype, device=weight.device)

    def __call__(self, state: S, chunk: Frames, context: Context) -> tuple[S, Frames]:
        return super().__call__(state, chunk, context)  # type: ignore[no-any-return]


class Chain(Streamable[tuple[Any, ...]]):
    """Layers one after the other; its ratio, hop and lookahead follow from theirs.

    The context is in frames at the chain's input; each layer is given it at its own rate.
    """

    def __init__(self, layers: Sequence[Streamable[Any]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        rate = Fraction(1)
        lookahead = Fraction(0)
        for layer in layers:
            lookahead += layer.lookahead_frames / rate
            rate *= layer.ratio
        self.ratio = rate
        self.lookahead_frames = math.ceil(lookahead)

    def __iter__(self) -> Iterator[Streamable[Any]]:
        return iter(self.layers)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.layers)

    def hop_frames(self, context: Context) -> int | None:
        hop, rate = 1, Fraction(1)
        for layer in self:
            own = layer.hop_frames(context.after(rate))
            if own is None:
                return None
            hop = math.lcm(hop, (own / rate).numerator, (1 / rate).numerator)
            rate *= layer.ratio
        return math.lcm(hop, (1 / rate).numerator)

    def initial_state(self, batch: int, context: Context) -> tuple[Any, ...]:
        states = []
        for layer in self:
            states.append(layer.initial_state(batch, context))
            context = context.after(layer.ratio)
        return tuple(states)

    def walk(self, state: tuple[Any, ...], chunk: Frames, context: Context) -> Iterator[tuple[Any, Frames]]:
        """One step, layer by layer: each layer's new state and its frames (for taps)."""
        for layer, old in zip(self, state, strict=True):
            new, chunk = layer(old, chunk.with_mask(), context)
            context = context.after(layer.ratio)
            yield new, chunk

    def forward(self, state: tuple[Any, ...], chunk: Frames, context: Context) -> tuple[tuple[Any, ...], Frames]:
        steps = list(self.walk(state, chunk, context))
        return tuple(new for new, _ in steps), steps[-1][1]


def run_whole(layer: Streamable[Any], frames: Frames, context: Context) -> Frames:
    """A layer's output over complete utterances: one long step from a fresh state."""
    return layer(layer.initial_state(frames.batch, context), frames, context)[1]


def cut(frames: Frames, steps: Sequence[Tensor]) -> Iterator[Frames]:
    """Cut complete utterances into steps; `steps[i]` is how many frames each row gives in step i, (B,).

    A row is final in the step that gives its last frame (in the first step, when it has none). Padding within a step
    is NaN, so that a layer that reads it shows.
    """
    given = torch.zeros_like(frames.lengths)
    ended = torch.zeros_like(frames.final)
    for step in steps:
        step = torch.minimum(step, frames.lengths - given)
        x = frames.x.new_full((frames.batch, int(step.max()), *frames.x.shape[2:]), torch.nan)
        for row, (start, count) in enumerate(zip(given.tolist(), step.tolist(), strict=True)):
            x[row, :count] = frames.x[row, start : start + count]
        given = given + step
        final = (given == frames.lengths) & ~ended
        ended = ended | final
        yield Frames(x, step, final, bool((step == x.shape[1]).all()))
    assert bool(ended.all()), "the steps do not cover the utterances"


def scan(layer: Streamable[Any], steps: Iterator[Frames], context: Context) -> Frames:
    """Run a layer over steps with carried state and join each row's frames, zeros in the padding."""
    pieces: list[Frames] = []
    state: Any = None
    for step in steps:
        if state is None:
            state = layer.initial_state(step.batch, context)
        state, out = layer(state, step, context)
        pieces.append(out)
    return joined(pieces)


def joined(pieces: Sequence[Frames]) -> Frames:
    """The output of successive steps as complete utterances, (B, T, …), zeros in the padding."""
    lengths = torch.stack([p.lengths for p in pieces]).sum(0)
    rows = [torch.cat([p.x[row, : int(p.lengths[row])] for p in pieces]) for row in range(len(lengths))]
    return Frames.whole(nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)
