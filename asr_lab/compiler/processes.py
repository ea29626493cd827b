"""Checks of how several processes share a step: `[parallel]` against `[launch]` and `[train]`."""

from __future__ import annotations

from collections.abc import Iterator

from asr_lab.config.load import Document
from asr_lab.recipe import Recipe


def ranks_take_part_of_a_batch(document: Document[Recipe]) -> Iterator[tuple[str, str]]:
    """One process takes at most the whole batch."""
    recipe = document.value
    part, whole = recipe.parallel.max_rank_batch_s, recipe.train.batch_s
    if part is not None and part > whole:
        yield "parallel.max_rank_batch_s", f"must be at most train.batch_s = {whole:g}, got {part:g}"


def processes_are_used(document: Document[Recipe]) -> Iterator[tuple[str, str]]:
    """Where a launch starts several processes, they train the model together."""
    launch = document.value.launch
    if launch.num_processes > 1 and document.value.parallel.tag() == "single":
        path = f"launch.{launch.counted_by}"
        alone = "launch.nodes = 1" if launch.counted_by == "nodes" else "launch.tasks_per_node = 1"
        yield (
            path if document.has(path) else "launch",
            f'starts {launch.num_processes} processes, of which [parallel] type = "single" trains with one: '
            f"choose a type for several (asrlab describe parallel), or start one: {alone}",
        )
