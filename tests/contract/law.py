"""The streaming law as checks that any layer can be put to: cuts, padding, idling, order, batch mates, gradients.

`Case` says what a layer is and in which contexts it is checked; each `check_*` function raises AssertionError when the
layer breaks that part of the law. Nothing here knows which layers there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from asr_lab.streaming import Context, Frames, Streamable, run_whole, scan

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest difference allowed, relative to the largest value where that is above 1."""

MOST_STEPS = 200
"""Steps of the finest cut at most: samples one by one take as many for a few frames."""


@attrs.frozen
class Case:
    """A layer under the law."""

    name: str
    """How the test is called: `blocks/macaron[mixer=mamba2]`."""
    build: Callable[[], Streamable[Any]]
    """A fresh layer, drop rates 0."""
    dim: int | None
    """Values per input frame; None for samples."""
    contexts: tuple[Context, ...]
    """Contexts to check in, at the layer's input rate."""
    whole_because: str | None = None
    """What the section says about needing whole utterances."""
    scale: float = 1.0
    """Standard deviation of the input."""
    num_hops: int = 7
    """Hops of the longest utterance."""

    def layer(self, dtype: torch.dtype) -> Streamable[Any]:
        """The layer in eval mode; parameters are moved off their initial values, so that no zero hides a mistake."""
        torch.manual_seed(0)
        layer = self.build().to(dtype).eval()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return layer

    def utterances(self, layer: Streamable[Any], context: Context, dtype: torch.dtype, seed: int = 0) -> Frames:
        """Rows of many lengths: whole hops, a partial last hop, fewer frames than a hop or the lookahead, none."""
        rng = torch.Generator().manual_seed(seed)
        hop, n = unit_of(layer, context), self.num_hops
        look = layer.lookahead_frames
        partial = (n - 2) * hop + look + (2 * hop) // 3
        lengths = torch.tensor([n * hop + look, partial, 1, 0, n // 2 * hop, max(1, hop - 1), (n - 1) * hop + 1])
        shape = (len(lengths), int(lengths.max()) + 2) + (() if self.dim is None else (self.dim,))
        frames = Frames.whole(self.scale * torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype), lengths)
        return poisoned(frames)


def unit_of(layer: Streamable[Any], context: Context) -> int:
    """Frames that make whole hops and whole frames out; a few of these make an utterance."""
    hop = layer.hop_frames(context)
    return 4 * layer.ratio.denominator if hop is None else math.lcm(hop, layer.ratio.denominator)


def poisoned(frames: Frames) -> Frames:
    """The same frames with NaN in the padding."""
    mask = frames.mask().reshape(frames.x.shape[:2] + (1,) * (frames.x.ndim - 2))
    return frames.with_x(torch.where(mask, frames.x, torch.full_like(frames.x[:1, :1], torch.nan)))


def random_steps(layer: Streamable[Any], frames: Frames, context: Context, seed: int) -> Iterator[Frames]:
    """A random legal way of cutting: rows begin, idle and end at different steps, some by a step without frames."""
    hop = layer.hop_frames(context)
    assert hop is not None
    yield from _random_steps(frames, hop, layer.lookahead_frames, 3 * unit_of(layer, context) // hop, seed)


def any_steps(frames: Frames, most: int, seed: int) -> Iterator[Frames]:
    """A random way of cutting in which a step takes any number of frames up to `most`."""
    yield from _random_steps(frames, 1, 0, most, seed)


def _random_steps(frames: Frames, hop: int, look: int, most_hops: int, seed: int) -> Iterator[Frames]:
    rng = np.random.default_rng(seed)
    lengths = frames.lengths.tolist()
    given, ended = [0] * len(lengths), [False] * len(lengths)
    while not all(ended):
        counts, final = [0] * len(lengths), [False] * len(lengths)
        for row, length in enumerate(lengths):
            if ended[row] or rng.random() < 0.3:
                continue
            wanted = int(rng.integers(0, most_hops + 1)) * hop + (look if given[row] == 0 else 0)
            counts[row] = min(wanted, length - given[row])
            if given[row] + wanted >= length:
                held = length - look
                may_go_on = length == 0 or (held >= 0 and held % hop == 0)
                final[row] = not may_go_on or bool(rng.random() < 0.5)
        if any(counts) or any(final):
            yield _step(frames, given, counts, final, padding=int(rng.integers(0, 3)))
        given = [a + b for a, b in zip(given, counts, strict=True)]
        ended = [a or b for a, b in zip(ended, final, strict=True)]


def _step(frames: Frames, given: list[int], counts: list[int], final: list[bool], padding: int) -> Frames:
    shape = (frames.batch, max(1, max(counts) + padding), *frames.x.shape[2:])
    x = frames.x.new_full(shape, torch.nan)
    for row, (start, count) in enumerate(zip(given, counts, strict=True)):
        if count:
            x[row, :count] = frames.x[row, start : start + count]
    return Frames(x, torch.tensor(counts), torch.tensor(final))


def leaves(state: Any) -> list[Tensor]:
    """The tensors of a state, nested tuples flattened."""
    if isinstance(state, Tensor):
        return [state]
    assert isinstance(state, tuple), f"a state is a NamedTuple of tensors, not {type(state).__name__}"
    return [leaf for part in state for leaf in leaves(part)]


def rows_of(state: Any, index: Tensor) -> Any:
    """The state with its rows in another order."""
    if isinstance(state, Tensor):
        return state[index]
    parts = [rows_of(part, index) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def assert_close(actual: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
    """Finite, of one shape, and no further apart than the tolerance."""
    assert actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    assert bool(torch.isfinite(actual).all()), f"{what}: not finite"
    if actual.numel():
        worst = float((actual - expected).abs().max()) / max(1.0, float(expected.abs().max()))
        assert worst <= tolerance, f"{what}: differs by {worst:.2e}, allowed {tolerance:.0e}"


def assert_same_frames(actual: Frames, expected: Frames, tolerance: float, what: str) -> None:
    """Equal lengths, and valid frames within the tolerance."""
    assert actual.lengths.tolist() == expected.lengths.tolist(), (
        f"{what}: lengths {actual.lengths.tolist()}, expected {expected.lengths.tolist()}"
    )
    longest = int(expected.lengths.max())
    assert_close(actual.valid()[:, :longest], expected.valid()[:, :longest], tolerance, what)


@torch.no_grad()
def check_cuts(case: Case, context: Context, dtype: torch.dtype, seed: int, num_cuts: int = 1) -> None:
    """Any legal way of cutting the input gives the frames of one long step: `num_cuts` ways of one input."""
    layer = case.layer(dtype)
    frames = case.utterances(layer, context, dtype, seed)
    whole = run_whole(layer, frames, context)
    for number in range(num_cuts):
        streamed = scan(layer, random_steps(layer, frames, context, seed * num_cuts + number), context)
        assert_same_frames(streamed, whole, TOLERANCE[dtype], "streamed against whole")


@torch.no_grad()
def check_hop_by_hop(case: Case, context: Context) -> None:
    """The finest legal cut gives the frames of one long step, and the state keeps its size."""
    layer = case.layer(torch.float64)
    frames = case.utterances(layer, context, torch.float64)
    hop = layer.hop_frames(context)
    assert hop is not None
    longest = layer.lookahead_frames + MOST_STEPS * hop
    frames = poisoned(Frames.whole(frames.x, frames.lengths.clamp(max=longest)))
    state = layer.initial_state(frames.batch, context)
    sizes = [(leaf.shape, leaf.dtype) for leaf in leaves(state)]
    assert all(shape[0] == frames.batch for shape, _ in sizes), "batch is axis 0 of every tensor of a state"
    given, pieces = torch.zeros_like(frames.lengths), []
    while bool((given < frames.lengths).any()) or not pieces:
        count = torch.where(given == 0, hop + layer.lookahead_frames, hop).minimum(frames.lengths - given)
        final = (given + count == frames.lengths) & ((count > 0) | ~torch.tensor(bool(pieces)))
        step = _step(frames, given.tolist(), count.tolist(), final.tolist(), padding=0)
        state, out = layer(state, step, context)
        assert [(leaf.shape, leaf.dtype) for leaf in leaves(state)] == sizes, "a state's size is bounded by its context"
        given = given + count
        pieces.append(out)
    whole = run_whole(layer, frames, context)
    assert_same_frames(_joined(pieces), whole, TOLERANCE[torch.float64], "hop by hop against whole")


def _joined(pieces: list[Frames]) -> Frames:
    lengths = torch.stack([p.lengths for p in pieces]).sum(0)
    rows = [torch.cat([p.x[row, : int(p.lengths[row])] for p in pieces]) for row in range(len(lengths))]
    return Frames.whole(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths)


@torch.no_grad()
def check_any_size(case: Case, dtype: torch.dtype, most: int, seed: int) -> None:
    """Pieces of any size up to `most`, aligned to nothing, give the frames of one long step."""
    layer, context = case.layer(dtype), case.contexts[0]
    frames = case.utterances(layer, context, dtype, seed)
    streamed = scan(layer, any_steps(frames, most, seed), context)
    assert_same_frames(
        streamed, run_whole(layer, frames, context), TOLERANCE[dtype], "pieces of any size against whole"
    )


@torch.no_grad()
def check_padding(case: Case, context: Context) -> None:
    """What stands in the padding is never read, and gives nothing that is not finite where frames are valid."""
    layer = case.layer(torch.float64)
    frames = case.utterances(layer, context, torch.float64)
    zeros = frames.with_x(frames.valid())
    assert_same_frames(
        run_whole(layer, frames, context), run_whole(layer, zeros, context), 1e-12, "NaN against zeros in the padding"
    )


@torch.no_grad()
def check_batch_mates(case: Case, context: Context) -> None:
    """A row's frames are those it would have alone and without padding."""
    layer = case.layer(torch.float64)
    frames = case.utterances(layer, context, torch.float64)
    together = run_whole(layer, frames, context)
    for row, length in enumerate(frames.lengths.tolist()):
        if length:
            alone = run_whole(layer, Frames.whole(frames.x[row : row + 1, :length]), context)
            expected = together.rows(torch.tensor([row]))
            assert_same_frames(alone, expected, TOLERANCE[torch.float64], f"row {row} alone against in a batch")


@torch.no_grad()
def check_idle_rows(case: Case, context: Context, seed: int = 1) -> None:
    """A row without frames that does not end keeps its state bit for bit, whatever its input holds, and gives none."""
    layer = case.layer(torch.float32)
    frames = case.utterances(layer, context, torch.float32)
    state = layer.initial_state(frames.batch, context)
    seen = 0
    for step in random_steps(layer, frames, context, seed):
        new, out = layer(state, step, context)
        idle = (step.lengths == 0) & ~step.final
        seen += int(idle.sum())
        assert out.lengths[idle].tolist() == [0] * int(idle.sum()), "an idle row gave frames"
        for before, after in zip(leaves(state), leaves(new), strict=True):
            same = (before[idle] == after[idle]) | (before[idle].isnan() & after[idle].isnan())
            assert bool(same.all()), "an idle row's state changed"
            assert bool(after[~idle].isfinite().all()) or not after.is_floating_point(), "a state is not finite"
        state = new
    assert seen, "no row idled: the check is empty"


@torch.no_grad()
def check_full(case: Case, context: Context, seed: int = 4) -> None:
    """Steps that say that every frame of every row is valid give what they give unsaid; no output says it wrongly."""
    layer = case.layer(torch.float64)
    hop, look = layer.hop_frames(context), layer.lookahead_frames
    assert hop is not None
    rng = np.random.default_rng(seed)
    counts = [look + hop, *(int(n) * hop for n in rng.integers(1, 4, size=case.num_hops))]
    shape = (3, sum(counts), *(() if case.dim is None else (case.dim,)))
    x = case.scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    whole = run_whole(layer, Frames.whole(x)._replace(full=False), context)
    for full_given in (True, False):
        state, pieces = layer.initial_state(3, context), []
        for number, piece in enumerate(x.split(counts, dim=1)):
            last = torch.full((3,), number + 1 == len(counts))
            step = Frames(piece, torch.full((3,), piece.shape[1]), last, full=full_given)
            state, out = layer(state, step, context)
            full = out.lengths.tolist() == [out.x.shape[1]] * 3
            assert full or not out.full, "full, with padding"
            assert out.full or not (full and full_given and number), "a full step of rows alike must say so"
            pieces.append(out)
        assert_same_frames(_joined(pieces), whole, TOLERANCE[torch.float64], f"full = {full_given} against whole")


@torch.no_grad()
def check_order(case: Case, context: Context, seed: int = 2) -> None:
    """Rows may change places between steps when their state goes with them."""
    layer = case.layer(torch.float64)
    frames = case.utterances(layer, context, torch.float64)
    order = torch.arange(frames.batch)
    generator = torch.Generator().manual_seed(seed)
    state, pieces = layer.initial_state(frames.batch, context), []
    for step in random_steps(layer, frames, context, seed):
        places = torch.randperm(frames.batch, generator=generator)
        state, order = rows_of(state, places), order[places]
        state, out = layer(state, step.rows(order), context)
        pieces.append(out.rows(torch.argsort(order)))
    assert_same_frames(
        _joined(pieces), run_whole(layer, frames, context), TOLERANCE[torch.float64], "reordered against whole"
    )


def check_gradients(case: Case, context: Context, seed: int = 3) -> None:
    """Gradients of input and parameters through carried state are those of one long step."""
    layer = case.layer(torch.float64).train()
    frames = case.utterances(layer, context, torch.float64)
    whole = _gradients(layer, frames, lambda f: run_whole(layer, f, context))
    streamed = _gradients(layer, frames, lambda f: scan(layer, random_steps(layer, f, context, seed), context))
    for (name, actual), (_, expected) in zip(streamed, whole, strict=True):
        assert_close(actual, expected, TOLERANCE[torch.float64], f"gradient of {name}")


def _gradients(layer: Streamable[Any], frames: Frames, run: Callable[[Frames], Frames]) -> list[tuple[str, Tensor]]:
    x = torch.where(frames.x.isnan(), torch.zeros_like(frames.x), frames.x).requires_grad_()
    out = run(frames.with_x(x))
    y = out.valid()[:, : int(out.lengths.max())]
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(5), dtype=y.dtype)
    names = ["the input", *(name for name, _ in layer.named_parameters())]
    leaves = [x, *layer.parameters()]
    found = torch.autograd.grad((y * weights).sum(), leaves, allow_unused=True)
    return [(n, torch.zeros_like(p) if g is None else g) for n, p, g in zip(names, leaves, found, strict=True)]
