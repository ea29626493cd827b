"""What a recipe names but does not hold, read without torch: its data, its tokenizer, its normaliser."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import attrs
import numpy as np

from asr_lab.data.corpus import training_texts
from asr_lab.data.cuts import Cuts, read_cuts
from asr_lab.data.evaluation_cuts import read_evaluation_cuts
from asr_lab.errors import DataError
from asr_lab.recipe import Recipe
from asr_lab.text.normalizer import Normalizer
from asr_lab.text.vocabulary import Vocabulary

DATA_VARIABLE = "ASRLAB_DATA"
TOKENIZER = "tokenizer"
"""Folder of a run that holds a tokenizer which was learned."""
MOST_NAMED = 8
"""Languages that a message names."""


@attrs.frozen(eq=False)
class Inputs:
    """What decides, with the recipe, what a run learns and how its weights are chosen."""

    train: Cuts
    valid: dict[str, Cuts]
    """By name, in the recipe's order."""
    normalizer: Normalizer
    vocabulary: Vocabulary

    @property
    def hashes(self) -> dict[str, str]:
        """Of `data`, `tokenizer` and `normalizer`: a run keeps them from its first attempt to its last."""
        return {
            "data": hash_of_sets([self.train, *self.valid.values()]),
            "tokenizer": self.vocabulary.fingerprint(),
            "normalizer": self.normalizer.name,
        }


class Fingerprinted(Protocol):
    """Data that knows its hash."""

    @property
    def fingerprint(self) -> str: ...


def hash_of_sets(sets: Iterable[Fingerprinted]) -> str:
    """One hash for several sets of data, hexadecimal."""
    return hashlib.sha256(json.dumps([one.fingerprint for one in sets]).encode()).hexdigest()


def data_root() -> Path:
    """Where relative data paths start: `ASRLAB_DATA`, by default `data/` under the working directory."""
    return Path(os.environ.get(DATA_VARIABLE) or "data")


def read_inputs(recipe: Recipe, folder: Path) -> Inputs:
    """The inputs of a recipe; `folder` is the run's, where a tokenizer that learns is kept.

    DataError when data is absent, or nothing of it can be used; LabError for a vocabulary too large for the text.
    """
    root, data = data_root(), recipe.data
    train, valid = [d.build(root) for d in data.train], [d.build(root) for d in data.valid]
    named = recipe.named_languages
    cuts = read_cuts(train, root, channel=data.channel, by_language=data.temperature != 1 or bool(named))
    if data.temperature != 1 and len(cuts.languages) < 2:
        told = f"all is {cuts.languages[0]!r}" if cuts.languages[0] else "none is told"
        raise DataError(
            f"data.temperature = {data.temperature:g} mixes languages, of which the column `language` of data.train "
            f"tells apart two or more: {told}. Leave the key out, or add the column"
        )
    if named and (problem := _unnamed(cuts, named)):
        raise DataError(problem)
    valid_cuts = read_evaluation_cuts(valid, root, channel=data.channel)
    normalizer = Normalizer(recipe.text.steps)
    return Inputs(cuts, valid_cuts, normalizer, _vocabulary(recipe, folder, cuts, normalizer))


def _unnamed(cuts: Cuts, named: Sequence[str]) -> str:
    """What is wrong where utterances are of no language that a decoder names; "" where all are of one."""
    counts = np.bincount(cuts.language, minlength=len(cuts.languages))
    others = {
        name: int(count) for name, count in zip(cuts.languages, counts, strict=True) if name not in named and count
    }
    if not others:
        return ""
    told = [f"{count:,} are {name!r}" for name, count in others.items() if name][:MOST_NAMED]
    told = [*told, *([f"{others['']:,} have none"] if "" in others else [])]
    return (
        "decoder.languages names a language before each text, by the column `language` of data.train: of "
        f"{len(cuts):,} utterances {', '.join(told)}, which is none of {', '.join(named[:MOST_NAMED])}"
        f"{' …' if len(named) > MOST_NAMED else ''}. Add them to decoder.languages, add the column, or leave those "
        "utterances out by data.train[i].where"
    )


def read_test(recipe: Recipe) -> dict[str, Cuts]:
    """The test sets of a recipe, by name; DataError as in `read_inputs`."""
    root, data = data_root(), recipe.data
    test = [d.build(root) for d in data.test]
    return read_evaluation_cuts(test, root, channel=data.channel)


def _vocabulary(recipe: Recipe, folder: Path, cuts: Cuts, normalizer: Normalizer) -> Vocabulary:
    """The recipe's tokenizer; one that learns is trained on the cuts' texts once and kept in the run's folder."""
    kept = folder / TOKENIZER
    if recipe.tokenizer.learns and not kept.exists():
        fresh = folder / f".{TOKENIZER}.{os.getpid()}"
        fresh.mkdir(parents=True, exist_ok=True)
        recipe.tokenizer.train(training_texts(cuts, normalizer), fresh)
        fresh.rename(kept)
    return recipe.tokenizer.build(kept if recipe.tokenizer.learns else None)
