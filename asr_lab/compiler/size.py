"""How large a recipe's model is, by arithmetic: nothing is built, and torch is not loaded."""

from __future__ import annotations

from collections import Counter

import attrs

from asr_lab.config.paths import spell
from asr_lab.recipe import Recipe


@attrs.frozen
class ModelPart:
    """A part of a model, where it is written."""

    path: str
    """`encoder.stem`, `encoder.block.conf`, `decoder[0]`."""
    parameters: int
    """Of all its layers together."""


def parts(recipe: Recipe) -> list[ModelPart]:
    """The stem, each block times its layers, and the decoders; blocks must be named and fit the dimension."""
    encoder = recipe.encoder
    stem = ModelPart("encoder.stem", encoder.stem.num_parameters(recipe.features.dim, encoder.dim))
    layers = [
        ModelPart(spell(("encoder", "block", name)), times * encoder.block[name].num_parameters(encoder.dim))
        for name, times in Counter(encoder.layer_names).items()
    ]
    heads = [
        ModelPart(f"decoder[{i}]", decoder.num_parameters(encoder.dim, recipe.tokenizer.size))
        for i, decoder in enumerate(recipe.decoder)
    ]
    return [stem, *layers, *heads]


def num_parameters(recipe: Recipe) -> int:
    """Parameters of the whole model."""
    return sum(part.parameters for part in parts(recipe))
