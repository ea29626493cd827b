"""What a recipe may not ask for where every machine is to give the same bits."""

from __future__ import annotations

from collections.abc import Iterator

from asr_lab.config.load import Document
from asr_lab.recipe import Recipe


def every_machine_computes_alike(document: Document[Recipe]) -> Iterator[tuple[str, str]]:
    """At level `cross_hardware` whatever has its bits from the machine is refused by name."""
    recipe = document.value
    if recipe.determinism.level != "cross_hardware":
        return
    level = "determinism.level = 'cross_hardware'"
    if recipe.precision.tag() != "fp32":
        yield "precision.type", f"must be 'fp32' at {level}: RepDL has no other products"
    if recipe.parallel.tag() != "single":
        yield "parallel.type", f"must be 'single' at {level}: a sum over processes has another order than one process's"
    if (why := recipe.schedule.inexact_because) is not None:
        yield "schedule.type", f"is not covered by {level}: {why}"
    for i, augment in enumerate(recipe.augment):
        if (why := augment.inexact_because) is not None:
            yield f"augment[{i}].type", f"is not covered by {level}: {why}"
    if recipe.train.patience is not None:
        yield "train.patience", f"stops by what validation decodes, which {level} does not cover"
