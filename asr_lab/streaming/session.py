"""Live sessions: many streams through one layer, in one batch, each as if it were alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asr_lab.streaming.context import Context
from asr_lab.streaming.frames import Frames
from asr_lab.streaming.rows import join, num_bytes, put, take
from asr_lab.streaming.streamable import Chain, Streamable

MAX_HOPS = 16
"""Hops that a step takes of a row at most, by default: what a backlog of any length costs in memory."""


class Output(NamedTuple):
    """What a step gave one stream."""

    frames: Tensor  # (T', D), those that are new; T' may be 0
    final: bool
    """The stream has ended: these are its last frames, and its number is forgotten."""


class Sessions:
    """Many live streams through one layer: `open` one, `push` its input as it comes, `step` for all that are due.

    The layer is set to eval mode. One step is one padded batch over the streams that have a hop in their buffers, or
    the end of their input; streams join, idle and leave, and none notices the others. Memory is a state for each open
    stream and what was pushed and not yet stepped over (`buffered_frames`, for callers that must bound it); a step
    takes at most `max_hops` hops of a stream. `dim` is how many values an input frame has, None for samples.

    ValueError when the layer cannot be cut in this context, naming the part that needs the whole utterance. What a
    caller does wrong with one stream is a ValueError too, and leaves all streams as they were.
    """

    def __init__(
        self,
        layer: Streamable[Any],
        context: Context,
        max_streams: int = 64,
        *,
        dim: int | None = None,
        max_hops: int = MAX_HOPS,
    ) -> None:
        if max_streams < 1 or max_hops < 1:
            raise ValueError(f"max_streams and max_hops must be at least 1, got {max_streams} and {max_hops}")
        hop = layer.hop_frames(context)
        if hop is None:
            raise ValueError(needs_whole_because(layer, context))
        self.layer, self.context = layer.eval(), context
        self.hop_frames, self.lookahead_frames = hop, layer.lookahead_frames
        self.max_streams, self.max_hops = max_streams, max_hops
        self._shape = () if dim is None else (dim,)
        self._like = _first_floats(layer)
        self._streams: dict[int, _OpenStream] = {}  # in the order of their rows
        self._opened = 0
        self._state: Any = None
        self._owned = True  # nothing else can hold a part of the state's memory

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def state_bytes(self) -> int:
        """Memory that the state of one stream takes."""
        return num_bytes(self.layer.initial_state(1, self.context))

    def buffered_frames(self, stream: int) -> int:
        """Input frames that were pushed and not yet stepped over."""
        return self._stream(stream).count

    @torch.inference_mode()
    def open(self) -> int:
        """A new stream's number; numbers are never used again."""
        if len(self._streams) >= self.max_streams:
            raise ValueError(f"all {self.max_streams} streams are taken: close one first, or allow more (max_streams)")
        fresh = self.layer.initial_state(1, self.context)
        self._state = join([self._state, fresh] if self._streams else [fresh])
        self._owned = True
        self._opened += 1
        self._streams[self._opened] = _OpenStream()
        return self._opened

    def push(self, stream: int, x: Tensor) -> None:
        """Give a stream its next input, (T, dim) or (S,), any number of frames; it is copied.

        ValueError for input of another shape, not floating, or not finite.
        """
        row = self._stream(stream)
        if row.finished:
            raise ValueError(f"stream {stream} is finished and takes no more input")
        if x.shape[1:] != self._shape or x.ndim != 1 + len(self._shape) or not x.is_floating_point():
            wanted = "(S,)" if not self._shape else f"(T, {self._shape[0]})"
            raise ValueError(f"stream {stream}: input is {wanted} of floats, not {tuple(x.shape)} {x.dtype}")
        if not bool(torch.isfinite(x).all()):
            raise ValueError(f"stream {stream}: input holds values that are not finite numbers; none of it was taken")
        row.add(x.detach().to(self._like.device, self._like.dtype, copy=True))

    def finish(self, stream: int) -> None:
        """Say that a stream's input is over: its last frames come from `step`, which then forgets it."""
        self._stream(stream).finished = True

    def close(self, stream: int) -> None:
        """Forget a stream at once, what is in its buffer too."""
        self._stream(stream)
        self._forget({stream})

    @torch.inference_mode()
    def reset(self, stream: int) -> Tensor:
        """End a stream's utterance where it has been stepped to and begin another behind it.

        Returns the frames that the layer held back, (T', D). What is in the buffer belongs to the new utterance, which
        starts from a fresh state; both utterances are as if each had been a stream of its own.
        """
        row, index = self._stream(stream), self._rows([stream])
        _, out = self.layer(take(self._state, index), self._chunk([row], [0], [True]), self.context)
        self._own()
        put(self._state, index, self.layer.initial_state(1, self.context))
        row.begun = False
        return out.x[0, : int(out.lengths[0])].clone()

    @torch.inference_mode()
    def step(self) -> dict[int, Output]:
        """One step of every stream that is due, or an empty answer when none is.

        All take as many hops as the one with the fewest has, so that nothing is computed on padding; who has more is
        due again.
        """
        due = {number: hops for number, row in self._streams.items() if (hops := self._hops(row)) is not None}
        if not due:
            return {}
        hops = min([self.max_hops, *(h for h in due.values() if h)])
        rows = [self._streams[number] for number in due]
        counts = [min(row.count, self._wanted(row, hops)) for row in rows]
        final = [row.finished and count == row.count for row, count in zip(rows, counts, strict=True)]
        out = self._advance(list(due), self._chunk(rows, counts, final))
        lengths = out.lengths.tolist()
        outputs = {}
        for i, (number, ended) in enumerate(zip(due, final, strict=True)):
            outputs[number] = Output(out.x[i, : lengths[i]].clone(), ended)
        self._forget({number for number, output in outputs.items() if output.final})
        return outputs

    def _hops(self, row: _OpenStream) -> int | None:
        """Hops that a stream could give now, a partial last one counted; None when it is not due."""
        held = row.count - (0 if row.begun else self.lookahead_frames)
        if row.finished:
            return max(0, -(-held // self.hop_frames))
        return held // self.hop_frames if held >= self.hop_frames else None

    def _wanted(self, row: _OpenStream, hops: int) -> int:
        return hops * self.hop_frames + (0 if row.begun else self.lookahead_frames)

    def _chunk(self, rows: Sequence[_OpenStream], counts: Sequence[int], final: Sequence[bool]) -> Frames:
        """The next `counts` frames of some streams, taken out of their buffers."""
        x = self._like.new_zeros(len(rows), max(1, *counts), *self._shape)
        for i, (row, count) in enumerate(zip(rows, counts, strict=True)):
            row.move(x[i, :count])
            row.begun = row.begun or count > 0
        device = x.device
        full = all(count == x.shape[1] for count in counts)
        return Frames(x, torch.tensor(counts, device=device), torch.tensor(final, device=device), full)

    def _advance(self, numbers: Sequence[int], chunk: Frames) -> Frames:
        """Step some streams' states on."""
        if len(numbers) == len(self._streams):
            self._state, out = self.layer(self._state, chunk, self.context)
            self._owned = False
            return out
        index = self._rows(numbers)
        state, out = self.layer(take(self._state, index), chunk, self.context)
        self._own()
        put(self._state, index, state)
        return out

    def _own(self) -> None:
        """Make the state fit to be written to: a layer may have kept a part of it, or given it out with its frames."""
        if not self._owned:
            self._state = take(self._state, self._rows(self._streams))
            self._owned = True

    def _rows(self, numbers: Iterable[int]) -> Tensor:
        place = {number: i for i, number in enumerate(self._streams)}
        return torch.tensor([place[number] for number in numbers], device=self._like.device)

    @torch.inference_mode()
    def _forget(self, numbers: set[int]) -> None:
        kept = [number for number in self._streams if number not in numbers]
        if numbers:
            self._state = take(self._state, self._rows(kept)) if kept else None
            self._owned = True
            self._streams = {number: self._streams[number] for number in kept}

    def _stream(self, number: int) -> _OpenStream:
        try:
            return self._streams[number]
        except KeyError:
            raise ValueError(f"no open stream {number}: it was never opened, or has ended, or was closed") from None


class _OpenStream:
    """One stream's input that is not yet stepped over: pieces as they were pushed, none of them joined or moved."""

    def __init__(self) -> None:
        self.pieces: deque[Tensor] = deque()
        self.count = 0
        self.begun = False  # a frame of the utterance was stepped over
        self.finished = False

    def add(self, piece: Tensor) -> None:
        if len(piece):
            self.pieces.append(piece)
            self.count += len(piece)

    def move(self, to: Tensor) -> None:
        """Move the oldest frames into `to`, as many as it holds."""
        moved = 0
        while moved < len(to):
            piece = self.pieces.popleft()
            part, rest = piece[: len(to) - moved], piece[len(to) - moved :]
            to[moved : moved + len(part)] = part
            moved += len(part)
            if len(rest):
                self.pieces.appendleft(rest)
        self.count -= moved


def needs_whole_because(layer: Streamable[Any], context: Context) -> str:
    """A sentence on what keeps a layer from being cut in this context, naming the part of it that does."""
    name, part, seen = _culprit(layer, context, "")
    chunk, left = ("unlimited" if n is None else n for n in (seen.chunk_frames, seen.left_frames))
    where = f"{name} ({type(part).__name__})" if name else type(part).__name__
    reason = getattr(part, "whole_because", None)
    if not isinstance(reason, str):
        reason = f"it needs the whole utterance in a context of chunk {chunk} and left {left} (frames at its rate)"
    return f"{where} cannot stream: {reason}"


def _culprit(layer: Streamable[Any], context: Context, name: str) -> tuple[str, Streamable[Any], Context]:
    """The innermost part that has no hop: its name, itself, and the context at its rate."""
    children: list[tuple[str, nn.Module]] = list(layer.named_children())
    if isinstance(layer, Chain):
        children = [(f"part {i}", part) for i, part in enumerate(layer)]
    rate = Fraction(1)
    for own, part in children:
        if not isinstance(part, Streamable):
            continue
        seen = context.after(rate)
        if part.hop_frames(seen) is None:
            return _culprit(part, seen, f"{name}.{own}" if name else own)
        if isinstance(layer, Chain):
            rate *= part.ratio
    return name, layer, context


def _first_floats(layer: nn.Module) -> Tensor:
    """What input is made like: on the device of the layer's weights and of their dtype, samples never below float32."""
    for tensor in (*layer.parameters(), *layer.buffers()):
        if tensor.is_floating_point():
            return tensor.new_zeros(0, dtype=torch.promote_types(tensor.dtype, torch.float32))
    return torch.zeros(0)
