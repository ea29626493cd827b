"""What data there is: the corpora that are known, and the sets of a recipe: `asrlab data list`, `show`, `prepare`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config.hints import did_you_mean
from asr_lab.data.catalog import BY_NAME, CORPORA, Download, PublishedCorpus, chosen, unknown_parts
from asr_lab.errors import DataError

if TYPE_CHECKING:
    from asr_lab.slots.datasets import Dataset

SETS = ("train", "valid", "test")


@attrs.frozen
class CorpusHere:
    """A known corpus, and which of its parts are on the disk."""

    corpus: PublishedCorpus
    there: tuple[str, ...]
    absent: tuple[str, ...]


@attrs.frozen
class SetHere:
    """One dataset of a recipe as it is on the disk."""

    place: str
    """`train[0]`."""
    name: str
    type: str
    num_utterances: int
    hours: float
    left_out: int
    first_reason: str
    """Of the first utterance that cannot be used."""
    values: dict[str, dict[str, int]]
    """Of each column its most frequent values, at most `MAX_VALUES`, with their counts."""
    distinct: dict[str, int]
    """Of each column how many values it has."""
    text: str
    """A transcript."""
    problem: str = ""
    """Why it cannot be read."""


MAX_VALUES = 5


def corpus_named(name: str) -> PublishedCorpus:
    """The corpus of a name; DataError for an unknown one."""
    key = name.lower().replace("-", "_")
    if key not in BY_NAME:
        raise DataError(f"no corpus called {name!r}{did_you_mean(key, BY_NAME)} (have: {', '.join(BY_NAME)})")
    return BY_NAME[key]


def corpora_here(root: Path) -> list[CorpusHere]:
    """All known corpora."""
    return [corpus_here(corpus, root) for corpus in CORPORA]


def corpus_here(corpus: PublishedCorpus, root: Path) -> CorpusHere:
    """Which parts of a corpus `prepare` would not fetch any more."""
    parts: dict[str, bool] = {}
    for one in corpus.downloads:
        parts[one.part] = parts.get(one.part, True) and (root / one.makes).exists()
    there = tuple(part for part, is_there in parts.items() if is_there)
    return CorpusHere(corpus, there, tuple(part for part in parts if part not in there))


def downloads_of(corpus: PublishedCorpus, only: Sequence[str]) -> list[Download]:
    """What is to be fetched of a corpus; DataError for one that is not fetched here, and for unknown parts."""
    if not corpus.downloads:
        raise DataError(f"{corpus.title} is not fetched here.\n{corpus.how}")
    if unknown := unknown_parts(corpus, only):
        parts = list(dict.fromkeys(one.part for one in corpus.downloads))
        have = ", ".join(parts[:12]) + (f", … {len(parts)} in all" if len(parts) > 12 else "")
        raise DataError(f"{corpus.title} has no part {unknown[0]!r}{did_you_mean(unknown[0], parts)} (have: {have})")
    return chosen(corpus, only)


def sets_of(recipe_file: Path, overrides: Sequence[str], root: Path) -> Iterator[SetHere]:
    """Each dataset of a recipe, read; one that is absent has the problem. RecipeError for a recipe that is wrong."""
    from asr_lab.compiler.load import load_recipe

    recipe = load_recipe(recipe_file, overrides).value
    for name in SETS:
        for number, dataset in enumerate(getattr(recipe.data, name)):
            yield _set_here(f"{name}[{number}]", dataset, root)


def _set_here(place: str, dataset: Dataset, root: Path) -> SetHere:
    from asr_lab.data.cuts import read_cuts

    empty = SetHere(place, dataset.label, dataset.tag(), 0, 0.0, 0, "", {}, {}, "")
    if dataset.is_made:
        return attrs.evolve(empty, problem="is made when it is first read")
    try:
        cuts = read_cuts([dataset.build(root)], root, keep_columns=True)
    except DataError as error:
        return attrs.evolve(empty, problem=str(error))
    values: dict[str, Counter[str]] = {}
    for columns in cuts.columns:
        for name, value in columns.items():
            values.setdefault(name, Counter())[str(value)] += 1
    return attrs.evolve(
        empty,
        num_utterances=len(cuts),
        hours=cuts.total_s / 3600,
        left_out=len(cuts.bad),
        first_reason=f"{cuts.bad[0].id}: {cuts.bad[0].reason}" if cuts.bad else "",
        values={name: dict(counts.most_common(MAX_VALUES)) for name, counts in values.items()},
        distinct={name: len(counts) for name, counts in values.items()},
        text=cuts.texts[0],
    )
