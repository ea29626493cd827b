"""Recipes that `check` accepts, drawn over every slot and key: built on the meta device, or trained for two steps.

They are drawn from the sections themselves, so that a new choice or key is among them by being there. A draw that
breaks a rule is mended where the rule points to, until the recipe is accepted.
"""

from __future__ import annotations

import functools
import random
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from outcomes import Case, judged
from small_run import SmallRun

from asr_lab.compiler.load import checked
from asr_lab.compiler.size import num_parameters
from asr_lab.config.fields import Field, fields, is_optional, without_none
from asr_lab.config.load import Document, loads
from asr_lab.config.paths import parse
from asr_lab.config.words import is_slot, toml
from asr_lab.errors import RecipeError
from asr_lab.recipe import Recipe

TEXTS: dict[str, tuple[str, ...]] = {
    "name": ("x", "n" * 100, "a.b-c_1"),
    "blocks": ("a", "b", "c"),
    "match": ("*", "*.bias", "*norm*"),
    "adamw": ("heads.*", "*"),
    "skip": ("*",),
    "freeze": ("*",),
    "decoder": ("auto", "ctc", "attention", "joint", "rescoring"),
    "alphabet": ("abcdefghijklmnopqrstuvwxyz '", "ehnotrw ", "ehnotrw", "e", "é́ñ"),
    "splits": ("dev-clean", "test.other"),
    "same": ("speaker", "absent", ""),
    "metric": ("wer", "cer", "ser"),
    "language": ("en-us", "de"),
}
"""What stands in keys that take text; elsewhere a path of one letter."""
SMALL = {
    "dim": 64, "repeat": 2, "channels": 16, "num_layers": 2, "expansion": 4, "state_dim": 16, "kernel_frames": 33,
    "num_mels": 40, "vocab_size": 300, "max_tokens": 448, "conv_width": 9, "expand": 4, "sample_rate": 16000,
    "window_ms": 100, "hop_ms": 40, "left_ms": 5000, "chunk_ms": 5000, "num_workers": 0, "beam": 4, "ns_steps": 10,
}  # fmt: skip
"""The most that a key is where the recipe is to be trained here: what costs time and memory alone."""
LEAST = {"batch_s": 2.0, "max_rank_batch_s": 1.0, "max_tokens": 32, "peak_lr": 1e-4}
"""The least there: what leaves nothing to train on, or trains nothing."""
FEASIBLE = {
    "tokenizer": (
        {"type": "chars"},
        {"type": "bytes"},
        {"type": "bpe", "vocab_size": 20},
        {"type": "unigram", "vocab_size": 12},
    ),
}
"""What fits the tones."""
MOST_PARAMETERS = 2_000_000
TRAINED = ("train", "valid")
"""Splits of the tones that are read."""


class Drawing:
    """Values for the keys of sections, drawn."""

    def __init__(self, rng: random.Random, small: bool) -> None:
        self.rng, self.small = rng, small

    def table(self, section: type, written: dict[str, Any] | None = None) -> dict[str, Any]:
        """The keys of a section; those that are there stay."""
        data = dict(written or {})
        for field in fields(section):
            if self.small and field.key == "emulate":
                data[field.key] = True  # no GPU here has the format
            elif self.small and field.key in FEASIBLE:
                data[field.key] = data.get(field.key, self.rng.choice(FEASIBLE[field.key]))
            elif field.key not in data and (field.required or (written is None and self.rng.random() < 0.4)):
                data[field.key] = self.value(field.type, field)
            elif field.key in data:
                data[field.key] = self.completed(field.type, data[field.key])
        return data

    def completed(self, annotation: Any, value: Any) -> Any:
        """The value with what is required in it."""
        annotation = without_none(annotation)
        if get_origin(annotation) in (Union, types.UnionType):
            if not isinstance(value, list | dict):
                return value
            of_lists = [one for one in get_args(annotation) if get_origin(one) is tuple]
            others = [one for one in get_args(annotation) if is_slot(one)]
            return self.completed((of_lists if isinstance(value, list) else others)[0], value)
        if isinstance(value, list) and get_origin(annotation) is tuple:
            return [self.completed(get_args(annotation)[0], one) for one in value]
        if not isinstance(value, dict) or annotation is Any:
            return value
        if get_origin(annotation) is dict:
            return {key: self.completed(get_args(annotation)[1], one) for key, one in value.items()}
        if is_slot(annotation):
            if "type" not in value:
                return self.slot(annotation)
            inside = {k: v for k, v in value.items() if k != "type"}
            return {"type": value["type"], **self.table(annotation.choice(value["type"]), inside)}
        return self.table(annotation, value)

    def slot(self, slot: Any) -> dict[str, Any]:
        tag = self.rng.choice(slot.tags())
        return {"type": tag, **self.table(slot.choice(tag))}

    def value(self, annotation: Any, field: Field) -> Any:
        if is_optional(annotation) and self.rng.random() < 0.1 and without_none(annotation) is not str:
            return "none"
        annotation = without_none(annotation)
        if annotation in (int, float):
            return self.number(annotation, field)
        if annotation is bool:
            return self.rng.random() < 0.5
        if annotation is str and self.small and field.key == "recordings":
            return "tones"
        if annotation is str:
            return self.rng.choice(TEXTS.get(field.key, ("p", "é", "q" * 90)))
        if get_origin(annotation) in (Union, types.UnionType):
            return self.value(self.rng.choice(get_args(annotation)), field)
        if get_origin(annotation) is Literal:
            return self.rng.choice(get_args(annotation))
        if get_origin(annotation) is tuple:
            return self.listed(get_args(annotation), field)
        if get_origin(annotation) is dict:
            wanted = get_args(annotation)[1]
            if wanted is Any:
                return self.rng.choice([{}, {"min_s": 0.1}, {"max_s": 30}, {"speaker": "!s0"}])
            return {name: self.value(wanted, field) for name in "abc"[: self.rng.randint(1, 3)]}
        return self.slot(annotation) if is_slot(annotation) else self.table(annotation)

    def number(self, kind: type, field: Field) -> int | float:
        low, high, above = 0.0, 10.0, False
        for bound in field.bounds:
            if bound.kind in ("ge", "gt"):
                low, above = bound.limit, bound.kind == "gt"
            elif bound.kind in ("le", "lt"):
                high = bound.limit - (1e-9 if bound.kind == "lt" else 0)
            elif bound.kind == "rising":
                low, high = bound.limit
        if self.small:
            high = max(low, min(high, SMALL.get(field.key, high)))
            low = min(high, max(low, LEAST.get(field.key, low)))
        least = max(low, min(1e-6, high)) if above and kind is float else low
        between = self.rng.uniform(least, high)
        scaled = least + (high - least) ** self.rng.random() - 1 if high - least > 1 else between
        nice = self.rng.choice(
            [n for n in (1, 2, 4, 8, 16, 32, 64, 80, 100, 128, 400) if least <= n <= high] or [least]
        )
        found = self.rng.choice([least, high, between, scaled, scaled, nice, nice, nice])
        return round(found) if kind is int else float(found)

    def listed(self, inner: tuple[Any, ...], field: Field) -> list[Any]:
        if inner[-1] is not ...:
            values = [self.value(one, field) for one in inner]
            return (
                sorted(values) if any(b.kind == "rising" for b in field.bounds) else [min(v, 0.999999) for v in values]
            )
        least = max((b.limit for b in field.bounds if b.kind == "min_len"), default=0)
        return [self.value(inner[0], field) for _ in range(self.rng.randint(least, max(least, 3)))]


def accepted(rng: random.Random, small: bool = False, data: str = "") -> Document[Recipe]:
    """A recipe that is accepted; `small` = one that is trained in a moment, on the sets that `data` spells in TOML."""
    while True:
        drawing = Drawing(rng, small)
        content = drawing.table(Recipe)
        for _ in range(60):
            try:
                document = checked(loads(_toml(content, data), Recipe))
            except RecipeError as error:
                for problem in error.problems:
                    _drop(content, parse(problem.path) if problem.path else ())
                content = drawing.table(Recipe, content)
            else:
                if not small or _is_small(document.value):
                    return document
                break


def _toml(content: dict[str, Any], data: str) -> str:
    written = {key: value for key, value in content.items() if not (data and key in ("data", "init"))}
    return "".join(f"{key} = {toml(value)}\n" for key, value in written.items()) + data


def _is_small(recipe: Recipe) -> bool:
    if recipe.kernels.compile:  # which takes a minute and more
        return False
    return num_parameters(recipe) <= MOST_PARAMETERS and len(recipe.encoder.layer_names) <= 8


def _drop(content: Any, path: tuple[str | int, ...]) -> None:
    """Remove what a problem names, or what stands above it where that is not written."""
    holders = []
    for part in path:
        if not (part in content if isinstance(content, dict) else isinstance(part, int) and part < len(content)):
            break
        holders.append((content, part))
        content = content[part]
        if not isinstance(content, dict | list):
            break
    if holders:
        del holders[-1][0][holders[-1][1]]


def built(document: Document[Recipe]) -> None:
    """Build the model on the meta device, and count what it costs."""
    import torch

    from asr_lab.compiler.cost import Unfilled
    from asr_lab.compiler.graph import recipe_graph
    from asr_lab.compiler.model import build_model

    recipe = document.value
    counted = recipe_graph(recipe).parameters
    assert counted == num_parameters(recipe), f"{num_parameters(recipe)} parameters by arithmetic, {counted} there"
    if len(recipe.encoder.layer_names) <= 12:
        with torch.device("meta"), Unfilled():
            model = build_model(recipe.features, recipe.encoder, recipe.decoder, recipe.tokenizer.size)
        assert sum(p.numel() for p in model.parameters()) == counted


def trained(document: Document[Recipe]) -> None:
    """Train for two steps, and decode a batch; AssertionError where a loss or a gradient is not finite."""
    import torch

    from asr_lab.compiler.build import build
    from asr_lab.errors import TrainingError
    from asr_lab.streaming import WHOLE

    with tempfile.TemporaryDirectory() as folder:
        experiment = build(document, Path(folder))
        learner = experiment.learner
        try:
            for report, _ in zip(learner.steps(), range(2), strict=False):
                assert learner.progress.num_nonfinite == 0, f"{report.cause}: {learner.progress.cause}"
        except TrainingError as error:
            if "not finite" in str(error):
                raise AssertionError(str(error)) from error
            return
        assert all(bool(p.isfinite().all()) for p in experiment.model.parameters()), "a weight is not finite"
        step = next(learner.data.steps(0, 0))
        experiment.model.eval()
        with torch.no_grad():
            frames = learner._forward_backward.frames(step.batches[0])
            experiment.model.search(frames, experiment.decode, WHOLE)


def of_tones(small: SmallRun | Path) -> str:
    """The data of a recipe that is trained: the tones."""
    folder = small if isinstance(small, Path) else small.folder / "data" / "tones"
    sets = [
        f'{split} = [{{ type = "folder", path = {toml(str(folder))}, where = {{ split = "{split}" }} }}]'
        for split in TRAINED
    ]
    return "\n".join(["[data]", "num_workers = 0", "max_left_out = 1.0", *sets, ""])


def cases(small: SmallRun, number: int, seed: int, first: int = 0) -> Iterator[Case]:
    """Of ten recipes nine are built and one is trained."""
    for index in range(first, first + number):
        rng = random.Random(f"{seed} accepted recipes {index}")
        is_trained = index % 10 == 0
        document = accepted(rng, is_trained, of_tones(small) if is_trained else "")
        way = trained if is_trained else built
        action = functools.partial(way, document)
        yield judged(f"{index}: {way.__name__} {document.value!r}"[:3000], action)
