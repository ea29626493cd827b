"""A recipe in one line, from its tables alone: nothing is built."""

from __future__ import annotations

from collections import Counter

import attrs

from asr_lab.config.identity import identify
from asr_lab.config.load import Document
from asr_lab.recipe import EVALUATION, EXECUTION, ContextSpec, Recipe
from asr_lab.slots.blocks import Block


@attrs.frozen
class Facts:
    """What a recipe asks for."""

    file: str
    name: str
    hash: str
    """SHA-256 of the experiment."""
    dim: int
    layers: dict[str, int]
    """How many layers of each kind, as `macaron/mamba2`."""
    features: str
    stem: str
    frame_ms: float
    """Of the stack."""
    tokenizer: str
    vocab_size: int
    assumes: str
    """What `vocab_size` supposes of a training text that is not read; "" where it is certain."""
    decoders: list[str]
    contexts: list[str]

    def __str__(self) -> str:
        layers = ", ".join(f"{n} {kind}" for kind, n in self.layers.items())
        size = f"{'about ' * bool(self.assumes)}{self.vocab_size}"
        return (
            f"{self.features}, {self.stem} to {self.frame_ms:g} ms, {layers}, D {self.dim}, "
            f"{'+'.join(self.decoders)} over {size} {self.tokenizer}, {' | '.join(self.contexts)}"
        )


def facts(document: Document[Recipe]) -> Facts:
    """The facts of a checked recipe."""
    recipe = document.value
    encoder = recipe.encoder
    kinds = Counter(kind(encoder.block[name]) for name in encoder.layer_names)
    return Facts(
        file=document.file,
        name=recipe.name,
        hash=identify(recipe, EXECUTION, EVALUATION).hash,
        dim=encoder.dim,
        layers=dict(kinds),
        features=recipe.features.tag(),
        stem=encoder.stem.tag(),
        frame_ms=float(recipe.features.frame_ms * encoder.stem.stride),
        tokenizer=recipe.tokenizer.tag(),
        vocab_size=recipe.tokenizer.size,
        assumes=recipe.tokenizer.assumes,
        decoders=[d.tag() for d in recipe.decoder],
        contexts=[_context(spec) for spec in encoder.contexts],
    )


def kind(block: Block) -> str:
    """A block's choice, and its mixer's where it has one: `macaron/mamba2`."""
    mixer = getattr(block, "mixer", None)
    return block.tag() if mixer is None else f"{block.tag()}/{mixer.tag()}"


def _context(spec: ContextSpec) -> str:
    return "whole" if spec.chunk_ms is None else f"{spec.chunk_ms:g}+{spec.left_ms:g} ms"
