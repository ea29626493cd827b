"""Which layers of a model compute in low precision, and why the others don't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import nn

from asr_lab.models.model import SpeechModel
from asr_lab.nn.low_precision.linear import LowPrecisionLinear, Product, Region


class LayerPrecision(NamedTuple):
    """One linear layer's row in the table of a run's precision."""

    name: str
    shape: tuple[int, int]
    """Inputs and outputs, K and N."""
    kept_because: str
    """Why it stays in the format of autocast; "" where its products are rounded."""


def convert(
    model: SpeechModel, tile: int, region: Region, product: Callable[[nn.Linear], Product]
) -> tuple[LayerPrecision, ...]:
    """Replace the linear layers whose dims `tile` divides; parameters and their names stay.

    The stem and what gives the tokens' scores are kept high, as everything is that is no linear layer: norms, softmax,
    convolutions, embeddings and the state-space parameters.
    """
    rows = layers(model, tile)
    for row in rows:
        if not row.kept_because:
            parent, _, name = row.name.rpartition(".")
            linear = model.get_submodule(row.name)
            assert isinstance(linear, nn.Linear)
            setattr(model.get_submodule(parent), name, LowPrecisionLinear(linear, product(linear), region))
    return rows


def layers(model: SpeechModel, tile: int) -> tuple[LayerPrecision, ...]:
    """What `convert` does with each linear layer, in the order of the model."""
    first = {id(layer) for layer in model.encoder.layers[0].modules()}
    last = {id(layer) for layer in _outputs(model)}
    rows = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear):
            shape = (layer.in_features, layer.out_features)
            because = "first layers" if id(layer) in first else "last layer" if id(layer) in last else ""
            odd = next((size for size in shape if size % tile), None)
            if not because and odd is not None:
                because = f"{odd} is no multiple of {tile}"
            rows.append(LayerPrecision(name, shape, because))
    return tuple(rows)


def _outputs(model: SpeechModel) -> Iterator[nn.Module]:
    """Layers that give the scores of tokens."""
    for head in model.heads:
        for layer in head.modules():
            if isinstance(layer, nn.Linear) and layer.out_features == model.vocab_size:
                yield layer
