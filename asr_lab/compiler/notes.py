"""What is worth knowing of a right recipe: on this machine, and of the run it asks for."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from asr_lab.compiler.number_formats import format_notes
from asr_lab.config.imports import ImportCost
from asr_lab.config.load import Document
from asr_lab.errors import LabError
from asr_lab.recipe import Recipe
from asr_lab.text.normalizer import kind_of

SPEECH_PER_S = 15
"""Characters per second of quick read speech; slower is usual."""


def import_notes(costs: Sequence[ImportCost]) -> list[str]:
    """One line for each file under `ASRLAB_PATH` whose import brought torch along."""
    return [
        f"{cost.file} imports torch, which takes {cost.seconds:.1f} s of every check; import it inside build()"
        for cost in costs
        if "torch" in cost.packages
    ]


def notes(document: Document[Recipe]) -> list[str]:
    """One line each; none of them makes the recipe wrong."""
    recipe = document.value
    return [
        *_packages(recipe),
        *_alignment(recipe),
        *_alphabet(recipe),
        *_clock(recipe),
        *_scoring(recipe),
        *_leaks(recipe),
        *format_notes(recipe),
    ]


def _packages(recipe: Recipe) -> Iterator[str]:
    for listener in recipe.log.listeners:
        if importlib.util.find_spec(listener) is None:
            yield f"log.listeners: {listener} is not installed here; it comes with the extra `training`"

    if recipe.determinism.level == "cross_hardware" and importlib.util.find_spec("repdl") is None:
        yield "determinism.level: RepDL is not installed here; docs/determinism.md says how to get it"


def _alignment(recipe: Recipe) -> Iterator[str]:
    """CTC needs a frame per token, and one more between equal tokens."""
    ratios = [math.prod(recipe.encoder.ratios(d.tap)) for d in recipe.decoder if d.tag() == "ctc"]
    if not ratios:
        return
    frame_ms = recipe.features.frame_ms / min(ratios)
    per_s = Fraction(1000) / frame_ms
    if recipe.tokenizer.tag() in ("chars", "bytes") and per_s < SPEECH_PER_S:
        yield (
            f"tokenizer: a frame lasts {float(frame_ms):g} ms, so CTC can align at most {float(per_s):g} "
            f"{recipe.tokenizer.tag()} a second; quicker speech is named and skipped"
        )


def _alphabet(recipe: Recipe) -> Iterator[str]:
    """Letters that no training text has left."""
    for step, change in (("lower", str.lower), ("upper", str.upper)):
        gone = [c for c in _declared(recipe) if change(c) != c]
        if gone and any(kind_of(one) == step for one in recipe.text.steps):
            yield f"tokenizer.alphabet: {''.join(gone[:10])} never stand in a text after {step!r}, which text.steps has"


def _declared(recipe: Recipe) -> str:
    """The characters of an alphabet that the recipe holds."""
    return "" if recipe.tokenizer.learns else getattr(recipe.tokenizer, "alphabet", "")


def _clock(recipe: Recipe) -> Iterator[str]:
    if recipe.train.max_wall_min is not None:
        yield "train.max_wall_min: a run that the clock ends does not repeat itself"


def _scoring(recipe: Recipe) -> Iterator[str]:
    if recipe.score.steps is None:
        from asr_lab.compiler.inputs import data_root

        try:
            recipe.score.build_normalizer(data_root())
        except LabError as error:
            yield str(error)
        return
    scored = {kind_of(step): step for step in recipe.score.steps}
    for step in recipe.text.steps:
        kind = kind_of(step)
        if kind not in ("lower", "upper", "strip_punctuation", "strip_accents"):
            continue
        if kind not in scored:
            yield f"score.normalizer: without {step!r}, which text.steps has; what it takes away counts as errors"
        elif scored[kind] != step:
            yield f"score.normalizer: {scored[kind]!r} where text.steps has {step!r}; the difference counts as errors"


def _leaks(recipe: Recipe) -> Iterator[str]:
    data = recipe.data
    for split, sets in (("valid", data.valid), ("test", data.test)):
        for i, dataset in enumerate(sets):
            if any(_same_place(dataset, other) for other in data.train):
                yield f"data.{split}[{i}]: also in data.train; its score says nothing of unseen speech"


def _same_place(a: object, b: object) -> bool:
    """Whether two datasets read the same utterances."""
    import attrs

    if type(a) is not type(b):
        return False
    names = [f.name for f in attrs.fields(type(a)) if f.name not in ("name", "weight", "join")]  # type: ignore[arg-type]
    return all(getattr(a, name) == getattr(b, name) for name in names)
