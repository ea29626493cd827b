"""Checks of how several processes share a step: `[parallel]` against `[launch]`, `[train]` and `[precision]`."""

from __future__ import annotations

from collections.abc import Iterator

from asr_lab.config.load import Document
from asr_lab.recipe import Recipe
from asr_lab.slots.parallel.fsdp import FSDP

Found = Iterator[tuple[str, str]]


def ranks_take_part_of_a_batch(document: Document[Recipe]) -> Found:
    """One process takes at most the whole batch."""
    recipe = document.value
    part, whole = recipe.parallel.max_rank_batch_s, recipe.train.batch_s
    if part is not None and part > whole:
        yield "parallel.max_rank_batch_s", f"must be at most train.batch_s = {whole:g}, got {part:g}"


def processes_are_used(document: Document[Recipe]) -> Found:
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


def processes_share_evenly(document: Document[Recipe]) -> Found:
    """As many processes as a launch starts can share a step and hold the shards; numbers that cross are those used."""
    parallel, number = document.value.parallel, document.value.launch.num_processes
    if parallel.parts is not None and parallel.parts % number:
        yield "parallel.parts", f"must be a multiple of the {number} processes that launch starts, got {parallel.parts}"
    if not isinstance(parallel, FSDP):
        return
    if number > 1 and parallel.shards is not None and number % parallel.shards:
        yield "parallel.shards", f"must divide the {number} processes that launch starts, got {parallel.shards}"
    if parallel.gather == "bf16" and document.value.precision.tag() != "bf16":
        used = document.value.precision.tag()
        yield "parallel.gather", f'bf16 needs [precision] type = "bf16": {used} works with weights of 32 bits'


def compiled_steps_repeat(document: Document[Recipe]) -> Found:
    """What is compiled depends on which lengths came first, and so may its last bits after a resume."""
    level = document.value.determinism.level
    if document.value.kernels.compile and level in ("bitwise", "cross_hardware"):
        yield (
            "kernels.compile",
            f'cannot be true under [determinism] level = "{level}": a graph is made for the lengths that come first, '
            "which a resumed run need not have; write false, or a level of seeded",
        )


def compiled_contexts_are_whole(document: Document[Recipe]) -> Found:
    """TorchInductor cannot order the sizes of attention's windows while lengths are left open (torch 2.14)."""
    chunked = [i for i, spec in enumerate(document.value.encoder.contexts) if spec.chunk is None]
    if document.value.kernels.compile and chunked:
        yield (
            "kernels.compile",
            f"cannot be true with encoder.contexts[{chunked[0]}], which is a chunk: torch.compile fails on windows of "
            "unknown number; write false",
        )
