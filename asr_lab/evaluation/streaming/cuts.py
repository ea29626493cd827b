"""Ways of giving a layer complete utterances piece by piece, each with what came out of it, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from asr_lab.streaming import Chain, Context, Frames, cut
from asr_lab.streaming.session import Sessions

MOST_HOPS = 5
"""A random cut gives at most so many hops of a row at once."""


def random_steps(frames: Frames, hop_frames: int, lookahead_frames: int, seed: int) -> Iterator[Frames]:
    """The utterances cut at random where the law allows it: rows begin, idle and end at different steps.

    One at least has a frame. Padding is NaN, so that a layer that reads it shows.
    """
    rng = np.random.default_rng(seed)
    given = np.zeros(frames.batch, dtype=np.int64)
    lengths = frames.lengths.cpu().numpy()
    steps: list[Tensor] = []
    while bool((given < lengths).any()):
        hops = rng.integers(0, MOST_HOPS + 1, size=frames.batch)
        wanted = hops * hop_frames + np.where((given == 0) & (hops > 0), lookahead_frames, 0)
        step = np.minimum(wanted, lengths - given)
        if step.any():
            given += step
            steps.append(torch.from_numpy(step).to(frames.lengths.device))
    return cut(frames, steps)


def hop_steps(frames: Frames, hop_frames: int, lookahead_frames: int) -> Iterator[Frames]:
    """The utterances in the finest legal cut, all rows at once."""
    count = max(1, -(-(int(frames.lengths.max()) - lookahead_frames) // hop_frames))
    first = torch.full_like(frames.lengths, hop_frames + lookahead_frames)
    return cut(frames, [first, *[torch.full_like(frames.lengths, hop_frames)] * (count - 1)])


def run_parts(chain: Chain, steps: Iterable[Frames], context: Context) -> list[list[Frames]]:
    """What each part of a chain gives in each step, first part first."""
    pieces: list[list[Frames]] = [[] for _ in chain]
    state: tuple[object, ...] | None = None
    for step in steps:
        state = chain.initial_state(step.batch, context) if state is None else state
        walked = list(chain.walk(state, step, context))
        state = tuple(new for new, _ in walked)
        for part, (_, out) in zip(pieces, walked, strict=True):
            part.append(out)
    return pieces


def run_live(chain: Chain, frames: Frames, context: Context, seed: int) -> list[Frames]:
    """What live sessions give for the same utterances, step by step: a stream a row, all in one batch.

    The streams are given their samples, (B, S), in packets of random sizes that know nothing of hops, some wait while
    others go on, and they end when they do.
    """
    rng = np.random.default_rng(seed)
    sessions = Sessions(chain, context, max_streams=frames.batch, max_hops=1)
    rows = {sessions.open(): row for row in range(frames.batch)}
    lengths = frames.lengths.tolist()
    most = 3 * sessions.hop_frames
    given = dict.fromkeys(rows, 0)
    pieces: list[Frames] = []
    while given:
        for stream in list(given):
            start, length = given[stream], lengths[rows[stream]]
            end = min(length, start + int(rng.integers(0, most)))
            sessions.push(stream, frames.x[rows[stream], start:end])
            given[stream] = end
            if end == length:
                sessions.finish(stream)
                del given[stream]
        while outputs := sessions.step():
            pieces.append(_piece({rows[stream]: output.frames for stream, output in outputs.items()}, frames.batch))
    return pieces


def _piece(found: dict[int, Tensor], batch: int) -> Frames:
    """One step's frames of some rows, (T', D) each, as a step of all rows, of which the others idle."""
    first = next(iter(found.values()))
    x = first.new_zeros(batch, max(len(one) for one in found.values()), first.shape[1])
    lengths = torch.zeros(batch, dtype=torch.int64, device=x.device)
    for row, one in found.items():
        x[row, : len(one)] = one
        lengths[row] = len(one)
    return Frames(x, lengths, torch.zeros_like(lengths, dtype=torch.bool))
