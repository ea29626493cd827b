"""A shipped recipe made narrow at full depth, so that a test trains it in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def narrow_width(recipe: Mapping[str, Any], dim: int) -> dict[str, Any]:
    """The overrides of a recipe, as its TOML has it, that leave it its depth and take its width and vocabulary."""
    changed: dict[str, Any] = {"encoder.dim": dim}
    if "max_rank_batch_s" in recipe.get("parallel", {}):
        changed["parallel.max_rank_batch_s"] = 8
    if "vocab_size" in recipe["tokenizer"]:
        changed["tokenizer.vocab_size"] = 56
    if "channels" in recipe["encoder"]["stem"]:
        changed["encoder.stem.channels"] = 16
    for block, table in recipe["encoder"]["block"].items():
        mixer = table.get("mixer", {})
        if "num_heads" in mixer:
            changed[f"encoder.block.{block}.mixer.num_heads"] = 4
        if mixer.get("type") == "mamba2":
            changed |= {f"encoder.block.{block}.mixer.head_dim": 32, f"encoder.block.{block}.mixer.state_dim": 16}
    for i, decoder in enumerate(recipe["decoder"]):
        if "num_heads" in decoder:
            changed[f"decoder[{i}].num_heads"] = 4
    return changed
