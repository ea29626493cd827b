"""Checks of `[precision]` and of what it meets: what no machine can do, and what this one cannot."""

from __future__ import annotations

from collections.abc import Iterator

from asr_lab.config.load import Document
from asr_lab.devices import local_gpu
from asr_lab.number_formats import LOW_PRECISIONS, Asked, has_package, impossible, mixes_rows, tile, unavailable
from asr_lab.recipe import Recipe

Found = Iterator[tuple[str, str]]


def formats_are_possible(document: Document[Recipe]) -> Found:
    """Some package or our own roundings can do what is asked for, and every key has an effect."""
    precision = document.value.precision
    asked = precision.asked
    if asked.emulate and document.has("precision.backend"):
        yield "precision.backend", "has no effect beside emulate = true, which needs no package: leave it out"
    elif (problem := impossible(asked)) is not None:
        yield f"precision.{problem[0]}", problem[1]


def dims_tile(document: Document[Recipe]) -> Found:
    """There are layers to be computed in the format: the stack's dimension is a multiple of its blocks."""
    recipe = document.value
    size, dim = tile(recipe.precision.asked), recipe.encoder.dim
    if dim % size:
        near = [n for n in (dim // size * size, (dim // size + 1) * size) if n]
        yield (
            "encoder.dim",
            f"must be a multiple of {size}, which precision.type = {recipe.precision.tag()!r} scales together, got "
            f"{dim}; the nearest {'are' if len(near) > 1 else 'is'} {' and '.join(map(str, near))}, "
            "or --set precision.type=bf16",
        )


def processes_share_scales(document: Document[Recipe]) -> Found:
    """What is carried from step to step is the same on all processes, or there is one."""
    recipe = document.value
    asked, parallel = recipe.precision.asked, recipe.parallel.tag()
    if asked.format not in LOW_PRECISIONS or parallel == "single":
        return
    if asked.format == "fp8" and asked.scaling == "delayed":
        yield (
            "precision.scaling",
            f"delayed scales follow from what one process has seen, and parallel.type = {parallel!r} has several: "
            'write scaling = "tensorwise" or "rowwise"',
        )
    elif asked.backend == "transformer-engine" and not asked.emulate and parallel == "fsdp":
        yield (
            "precision.backend",
            "TransformerEngine's layers hold whole weights, which parallel.type = 'fsdp' has in shards: "
            'write parallel.type = "ddp", or backend = "torchao"',
        )


def decoding_rounds_each_frame_alone(document: Document[Recipe]) -> Found:
    """What is decoded depends on nothing else that is decoded beside it."""
    recipe = document.value
    if recipe.decode.precision == "same" and mixes_rows(recipe.precision.asked):
        yield (
            "decode.precision",
            f"'same' is {recipe.precision.spoken}, whose scales mix frames and utterances: a text would depend on what "
            'is decoded beside it. Write "fp32" or "bf16"',
        )


def _decoded_in(recipe: Recipe) -> str:
    """What is decoded in apart from training; with "same" nothing is."""
    wanted = recipe.decode.precision
    return "fp32" if wanted == "same" else wanted


def format_notes(recipe: Recipe) -> Iterator[str]:
    """What this machine lacks for a run of its own, and what a streaming model is decoded in."""
    asked = recipe.precision.asked
    if recipe.launch.cluster != "slurm":
        if (why := unavailable(asked, local_gpu(), has_package)) is not None:
            yield f"precision.type: {why}"
        elif why := unavailable(Asked(_decoded_in(recipe)), local_gpu(), has_package, decoding=True):
            yield f"decode.precision: {why}"
    if mixes_rows(asked) and any(context.chunk is None for context in recipe.encoder.contexts):
        yield (
            f"precision.type: {recipe.precision.spoken} mixes frames and utterances while it trains; the model streams "
            f"all the same, since it is decoded in {recipe.decode.precision}"
        )
