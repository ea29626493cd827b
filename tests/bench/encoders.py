"""How much faster the fast Conformer's encoder is than the base one, by length of audio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import attrs
import torch
from cases import RECIPES

from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.models.model import SpeechModel
from asr_lab.streaming import WHOLE, Context, Frames

LENGTHS_S = (10, 30, 120)


@attrs.frozen
class EncoderFigures:
    """Seconds for one utterance from features to frames, forward only."""

    audio_s: int
    base_s: float
    """`conformer_base`, which sees the whole utterance."""
    limited_s: float
    """`conformer_fast` in its first context, limited to a chunk and some seconds before it."""
    whole_s: float
    """`conformer_fast` seeing the whole utterance."""
    ratio: float
    """How many times as fast as base in its first context."""
    whole_ratio: float
    """How many times as fast as base, seeing as much."""


@torch.no_grad()
def bench_encoders(repeats: int, lengths_s: Sequence[int] = LENGTHS_S) -> list[EncoderFigures]:
    """The median of some repetitions, the three encoders taking turns."""
    (base, frame_ms), (fast, _) = _model("conformer_base"), _model("conformer_fast")
    turns = [(base, WHOLE), (fast, fast.contexts[0][0]), (fast, WHOLE)]
    figures = []
    for audio_s in lengths_s:
        generator = torch.Generator().manual_seed(0)
        features = Frames.whole(torch.randn(1, int(audio_s * 1000 / frame_ms), 80, generator=generator))
        rounds = [[_seconds(model, features, context) for model, context in turns] for _ in range(repeats + 1)]
        base_s, limited_s, whole_s = (statistics.median(column) for column in zip(*rounds[1:], strict=True))
        figures.append(EncoderFigures(audio_s, base_s, limited_s, whole_s, base_s / limited_s, base_s / whole_s))
    return figures


def _seconds(model: SpeechModel, features: Frames, context: Context) -> float:
    start = time.perf_counter()
    model.encode(features, context)
    return time.perf_counter() - start


def _model(name: str) -> tuple[SpeechModel, float]:
    recipe = load_recipe(RECIPES / f"{name}.toml").value
    assert recipe.tokenizer.size is not None
    assert recipe.features.dim == 80
    return seeded_model(recipe, recipe.tokenizer.size).eval(), float(recipe.features.frame_ms)
