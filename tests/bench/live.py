"""Live streams on one core: the encoder alone, chunk after chunk, one stream or many in a batch."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
from cases import Case

from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.streaming import Frames
from asr_lab.streaming.rows import num_bytes

CHUNKS_MS = (80, 320)
LEFT_MS = 5600
BATCHES = (1, 16, 64)
WARM_UP_CHUNKS = 3
CHUNKS_PER_REPEAT = {1: 30, 16: 4, 64: 2}
"""Timed chunks, by batch, for each repetition asked for: a lone stream's P99 needs many."""

OVERRIDES = (f"encoder.contexts=[{', '.join(f'{{chunk_ms={ms},left_ms={LEFT_MS}}}' for ms in CHUNKS_MS)}]",)
"""What every recipe is set to here."""


@attrs.frozen
class Live:
    """Streams in one batch."""

    step: Callable[[], object]
    """Takes the next chunk of every stream."""
    state_bytes: int
    """Of one stream."""


Opened = Callable[[int, int], Live]
"""From a chunk in milliseconds and a number of streams."""


@attrs.frozen
class LiveFigures:
    """What a batch of live streams costs one core."""

    chunk_ms: int
    batch: int
    chunks: int
    """That were timed."""
    median_s: float
    """Of one chunk of all streams."""
    p99_s: float
    real_time_factor: float
    """Seconds of computing for one second of one stream."""
    streams_per_core: float
    """In real time, in batches of this size."""
    state_mb: float
    """Memory of one stream between two chunks."""


@torch.inference_mode()
def bench_live(opened: Opened, repeats: int) -> list[LiveFigures]:
    """Every chunk and batch."""
    figures = []
    for chunk_ms in CHUNKS_MS:
        for batch in BATCHES:
            live = opened(chunk_ms, batch)
            seconds = [_seconds(live) for _ in range(WARM_UP_CHUNKS + repeats * CHUNKS_PER_REPEAT[batch])]
            figures.append(_figures(live, chunk_ms, batch, seconds[WARM_UP_CHUNKS:]))
    return figures


def recipe_streams(case: Case) -> Opened:
    """The encoder of a case's recipe with fresh weights, fed with noise."""
    assert case.recipe is not None
    recipe = load_recipe(case.recipe, [*case.overrides, *OVERRIDES]).value
    assert recipe.tokenizer.size is not None
    model = seeded_model(recipe, recipe.tokenizer.size).eval()
    encoder, mels = model.encoder, recipe.features.dim

    def opened(chunk_ms: int, batch: int) -> Live:
        context = model.contexts[CHUNKS_MS.index(chunk_ms)][0]
        hop = encoder.hop_frames(context)
        assert hop is not None
        x = torch.randn(batch, hop, mels, generator=torch.Generator().manual_seed(0))
        chunk = Frames(x, torch.full((batch,), hop), torch.zeros(batch, dtype=torch.bool), full=True)
        state: Any = encoder.initial_state(batch, context)
        size = num_bytes(state) // batch

        def step() -> None:
            nonlocal state
            state, _ = encoder(state, chunk, context)

        return Live(step, size)

    return opened


def _figures(live: Live, chunk_ms: int, batch: int, seconds: Sequence[float]) -> LiveFigures:
    median_s = statistics.median(seconds)
    share = median_s / (batch * chunk_ms / 1000)
    return LiveFigures(
        chunk_ms=chunk_ms,
        batch=batch,
        chunks=len(seconds),
        median_s=median_s,
        p99_s=sorted(seconds)[math.ceil(0.99 * (len(seconds) - 1))],
        real_time_factor=share,
        streams_per_core=1 / share,
        state_mb=live.state_bytes / 1e6,
    )


def _seconds(live: Live) -> float:
    start = time.perf_counter()
    live.step()
    return time.perf_counter() - start
