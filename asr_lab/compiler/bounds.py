"""Rules that bound what several numbers of a recipe come to together: its model's size, its steps."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator

from asr_lab.compiler.size import parts
from asr_lab.config.load import Document
from asr_lab.recipe import Recipe

MAX_PARAMETERS = 10_000_000_000
"""No model is larger: with its gradients and two moments it takes 160 GB in 32 bits."""
MAX_FRAMES = 8
"""No layer gives more frames for one of the features."""


def model_is_bounded(document: Document[Recipe]) -> Iterator[tuple[str, str]]:
    """The model's parameters can be held, and its frames do not multiply."""
    recipe = document.value
    encoder = recipe.encoder
    if set(encoder.layer_names) - set(encoder.block):
        return
    known = parts(recipe)
    total, largest = sum(p.parameters for p in known), max(known, key=lambda p: p.parameters)
    if total > MAX_PARAMETERS:
        yield (
            largest.path,
            f"the model would have {_billions(total)} parameters, {_billions(largest.parameters)} of them here; "
            f"at most {_billions(MAX_PARAMETERS)} are allowed",
        )
    if any(rate > MAX_FRAMES for rate in itertools.accumulate(encoder.ratios(), operator.mul)):
        yield "encoder.stack", f"makes more than {MAX_FRAMES} frames of one frame of the features"


def updates_are_bounded(document: Document[Recipe]) -> Iterator[tuple[str, str]]:
    """No step moves a weight by more than 1, or takes more of it away than is there."""
    optimizer = document.value.optimizer
    settings = [("optimizer", 1.0, optimizer.weight_decay)]
    for i, group in enumerate(optimizer.group):
        decay = optimizer.weight_decay if group.weight_decay is None else group.weight_decay
        settings.append((f"optimizer.group[{i}]", group.lr_scale, decay))
    for path, scale, decay in settings:
        lr = optimizer.peak_lr * scale
        if lr > 1:
            yield f"{path}.lr_scale", f"peak_lr * lr_scale = {lr:g} must be at most 1"
        elif lr * decay > 1:
            at = f"{path}.weight_decay"
            at = at if document.has(at) else "optimizer.weight_decay"
            yield (
                at,
                f"a step would take away {lr * decay:g} times the weight (learning rate * weight_decay); at most 1",
            )


def _billions(count: int) -> str:
    return f"{count / 1e9:,.1f} billion"
