"""Checks of datasets and of what is done to their audio and texts."""

from __future__ import annotations

import math
from collections.abc import Iterator

from asr_lab.audio.speeds import FASTEST
from asr_lab.config.hints import shown
from asr_lab.config.load import Document
from asr_lab.config.paths import parse, spell
from asr_lab.recipe import Recipe
from asr_lab.slots.datasets import Dataset

Found = Iterator[tuple[str, str]]


def datasets_make_sense(document: Document[Recipe]) -> Found:
    """Ranges are the right way round, and weights stand where they are read."""
    data = document.value.data
    for split in ("train", "valid", "test"):
        datasets = getattr(data, split)
        for i, dataset in enumerate(datasets):
            path = f"data.{split}[{i}]"
            yield from _join_problems(f"{path}.join", dataset)
            yield from _where_problems(f"{path}.where", dataset)
            if split != "train" and dataset.weight != 1:
                yield f"{path}.weight", f"has no effect: data.{split} is read once, whole"
            if dataset in datasets[:i]:
                hint = ": give that one a larger weight" if split == "train" else ""
                yield path, f"is data.{split}[{datasets.index(dataset)}] again{hint}"


def speech_is_at_most_twice_as_fast(document: Document[Recipe]) -> Found:
    """Augmentations together shorten no utterance by more than texts were counted to bear."""
    fastest = [augment.fastest for augment in document.value.augment]
    if (together := math.prod(fastest)) > FASTEST:
        last = max(i for i, one in enumerate(fastest) if one > 1)
        yield (
            f"augment[{last}].factors",
            f"with those before it speech is up to {together:.3g} times as fast, {FASTEST} is the most that is taken",
        )


def joined_texts_can_be_spelled(document: Document[Recipe]) -> Found:
    """Where utterances are joined for a loss, the alphabet has the blank that their texts are joined with."""
    recipe = document.value
    alphabet = getattr(recipe.tokenizer, "alphabet", "")
    if recipe.tokenizer.learns or not alphabet or " " in alphabet:
        return
    for split in ("train", "valid"):
        for i, dataset in enumerate(getattr(recipe.data, split)):
            if dataset.join is not None:
                message = (
                    f"joins texts with a blank, which tokenizer.alphabet = {shown(alphabet)} does not hold: add it"
                )
                yield f"data.{split}[{i}].join", message


def _join_problems(path: str, dataset: Dataset) -> Found:
    join = dataset.join
    if join is None:
        return
    shortest = dataset.where.get("min_s")
    if isinstance(shortest, int | float) and shortest > join.max_s:
        yield f"{path}.max_s", f"is below where.min_s = {shortest:g}, so that nothing would be joined"


def _where_problems(path: str, dataset: Dataset) -> Found:
    limits = {}
    for key, value in dataset.where.items():
        at = spell((*parse(path), key))
        if key in ("min_s", "max_s"):
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                yield at, f"must be a number of seconds, got {shown(value)}"
            else:
                limits[key] = value
        elif isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, list | dict) for v in value)):
            yield at, f"must be a value, a list of values or a pattern, got {shown(value)}"
        elif value == []:
            yield at, "is an empty list, which no utterance fits"
    if limits.get("min_s", 0) > limits.get("max_s", math.inf):
        yield f"{path}.min_s", f"must be at most max_s = {limits['max_s']:g}, got {limits['min_s']:g}"
