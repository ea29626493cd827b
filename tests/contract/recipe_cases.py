"""Every shipped recipe's whole model, samples to frames, as a case of the law; and those that cannot be one."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from law import Case

from asr_lab.compiler.load import load_recipe
from asr_lab.compiler.model import build_context
from asr_lab.errors import Problem, RecipeError
from asr_lab.recipe import Recipe
from asr_lab.streaming import Chain

FOLDER = Path(__file__).resolve().parents[2] / "recipes"
PATHS = sorted(FOLDER.rglob("*.toml"))

STREAMING = "encoder.contexts=[{ chunk_ms = 320, left_ms = 640 }]"
"""A context to try recipes in that name none but the whole."""

_LEVEL = ("features.level", 'level = "utterance" is the mean and deviation of the whole utterance')
_FLOOR = ("features.floor", 'floor = "utterance" lies below the loudest frame of the whole utterance')
_CENTRED = ("encoder.block.conf.conv.causal", "its convolution is centred (conv.causal = false)")
WHOLE_ONLY: dict[str, list[tuple[str, str]]] = {
    "bench/nemo_twin": [_LEVEL, _CENTRED],
    "bench/whisper_twin": [_FLOOR],
    "conformer_base": [_LEVEL, _CENTRED],
    "conformer_large": [_LEVEL, _CENTRED],
    "conformer_tiny": [_LEVEL, _CENTRED],
    "digits": [_LEVEL, _CENTRED],
    "hybrid": [_LEVEL, _CENTRED],
    "speech_conformer": [_LEVEL, _CENTRED],
    "speech_whisper": [_FLOOR],
    "whisper_base": [_FLOOR],
    "whisper_large": [_FLOOR],
    "whisper_small": [_FLOOR],
    "whisper_tiny": [_FLOOR],
}
"""Shipped recipes that need whole utterances: the keys that the compiler names for it in a streaming context, and why.

A recipe that is not listed is tried; it need not stream where its own contexts are whole utterances alone.
"""


def name_of(path: Path) -> str:
    """A recipe's path below the folder, without its ending."""
    return path.relative_to(FOLDER).with_suffix("").as_posix()


def needs_whole(path: Path) -> list[Problem]:
    """Why a recipe for whole utterances alone cannot stream, in the compiler's words; none = it can.

    A recipe that names a streaming context compiles in it, or is no recipe.
    """
    contexts = load_recipe(path).value.encoder.contexts
    if any(spec.chunk is None for spec in contexts):
        return []
    try:
        load_recipe(path, [STREAMING])
    except RecipeError as error:
        return error.problems
    return []


def model_cases(depth: bool) -> Iterator[Case]:
    """The recipes that stream, narrow; with `depth` as deep as they are written, else with each block once.

    What is the same model then, such as the sizes of a family, is one case.
    """
    found: dict[Any, list[str]] = {}
    for path in PATHS:
        if not needs_whole(path):
            found.setdefault(_what_decides_frames(_narrow(path, depth)), []).append(name_of(path))
    for names in found.values():
        yield _case(", ".join(names), _narrow(FOLDER / f"{names[0]}.toml", depth))


def _narrow(path: Path, depth: bool) -> Recipe:
    """The recipe with few channels and heads, without dropout, in streaming contexts."""
    written = load_recipe(path).value
    encoder = written.encoder
    overrides = ["encoder.dim=32", "encoder.dropout=0.0"]
    if all(spec.chunk is not None for spec in encoder.contexts):
        overrides.append(STREAMING)
    if hasattr(encoder.stem, "channels"):
        overrides.append("encoder.stem.channels=8")
    for name, block in encoder.block.items():
        mixer = getattr(block, "mixer", None)
        for key, value in (("num_heads", 2), ("head_dim", 16), ("state_dim", 16)):
            if hasattr(mixer, key):
                overrides.append(f"encoder.block.{name}.mixer.{key}={value}")
    overrides += [f"decoder[{i}].num_heads=2" for i, d in enumerate(written.decoder) if hasattr(d, "num_heads")]
    if not depth:
        # Decoders have no say in the frames, and one may read after a layer that is gone now.
        overrides = [o for o in overrides if not o.startswith("decoder[")] + ['decoder=[{ type = "ctc" }]']
        overrides.append(f"encoder.stack=[{{ blocks = {list(dict.fromkeys(encoder.layer_names))} }}]")
    return load_recipe(path, overrides).value


def _what_decides_frames(recipe: Recipe) -> tuple[Any, ...]:
    encoder = recipe.encoder
    blocks = tuple(encoder.block[name] for name in encoder.layer_names)
    return recipe.features, encoder.stem, blocks, encoder.contexts


def _case(name: str, recipe: Recipe) -> Case:
    features, encoder = recipe.features, recipe.encoder
    hop = Fraction(features.sample_rate) * features.frame_ms / 1000
    contexts = [build_context(spec, features.frame_ms) for spec in encoder.contexts]

    def build() -> Chain:
        parts = [features.build(), encoder.stem.build(features.dim, encoder.dim)]
        parts += [encoder.block[name].build(encoder.dim, encoder.dropout) for name in encoder.layer_names]
        return Chain(parts)

    in_samples = tuple(c.after(hop) for c in contexts if not c.is_whole)
    return Case(name, build, None, in_samples, scale=0.1, num_hops=3)
