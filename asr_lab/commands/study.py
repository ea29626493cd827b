"""The studies of `asrlab results`: which points they have, and their test sets scored as one evaluation.

Leave-one-out trains without one speaker (or any other value of a column) and tests on that one, for each in turn;
seeds train the same recipe from other first weights and in other orders. They are trained as any sweep is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_lab.commands.evaluate import inline_toml
from asr_lab.compiler.inputs import data_root
from asr_lab.config.grid import GridPoint
from asr_lab.config.load import Document
from asr_lab.config.structure import unstructure
from asr_lab.data.where import Where
from asr_lab.errors import DataError, TrainingError
from asr_lab.evaluation.evaluation_files import evaluate, evaluation_json, read_evaluation
from asr_lab.evaluation.hypotheses import decoded_of, read_hypotheses
from asr_lab.recipe import Recipe
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.runs.study.points import SEED
from asr_lab.runs.study.study import Study
from asr_lab.slots.datasets import Dataset

PARTS = ("train", "valid", "test")
NOT_WANTED = ("where", "join", "weight", "name")


def folds(document: Document[Recipe], label: str, column: str, root: Path) -> list[GridPoint]:
    """A point for each value of a column of the set called `label`, in order of the values.

    Train and valid lose the value; test is everything of it, under the conditions that the set's tables in train,
    valid and test agree in. DataError when there is no such set, or it has fewer than two values, or the recipe has a
    condition on the column already.
    """
    data = document.value.data
    own = {part: [(i, d) for i, d in enumerate(getattr(data, part)) if d.label == label] for part in PARTS}
    if not own["train"]:
        names = ", ".join(sorted({d.label for d in data.train}))
        raise DataError(f"data.train has no set called {label!r} (have: {names})")
    every = [d for part in PARTS for _, d in own[part]]
    if any(column in d.where for d in every):
        raise DataError(f"the recipe chooses by {column!r} in {label!r} already; leave that out first")
    whole = _whole(every)
    values = _values(own["train"][0][1], whole["where"], column, root)
    if len(values) < 2:
        raise DataError(f"{label!r} has {len(values)} values of {column!r}; leaving one out takes two")
    made = []
    for value in values:
        without = [f'data.{p}[{i}].where.{column}="!{value}"' for p in ("train", "valid") for i, _ in own[p]]
        test = {**whole, "name": value, "where": {**whole["where"], column: value}}
        name = f'name="{document.value.name}_without_{_slug(value)}"'
        overrides = (*document.overrides, name, *without, f"data.test=[{inline_toml(test)}]")
        made.append(GridPoint({column: value}, overrides))
    return made


def seeds(document: Document[Recipe], numbers: Sequence[int]) -> list[GridPoint]:
    """A point for each seed; DataError for fewer than two, or one twice."""
    if len(set(numbers)) < max(2, len(numbers)):
        raise DataError(f"a study of seeds takes two different ones or more, got {', '.join(map(str, numbers))}")
    return [GridPoint({SEED: str(n)}, (*document.overrides, f"{SEED}={n}")) for n in numbers]


def score_points(document: Document[Recipe], study: Study, label: str) -> dict[str, Any]:
    """The test sets of a study's points scored as one evaluation: a set for each, and all of them together.

    TrainingError, with each one's reason, where some have failed.
    """
    failed = [f"{one.point.label}: {one.state}: {one.reason}" for one in study.tracked if one.state != "finished"]
    if failed:
        raise TrainingError("\n".join(["not all runs of the study are finished:", *(f"  {line}" for line in failed)]))
    decoded: dict[str, list[DecodedUtterance]] = {}
    names: dict[str, str] = {}
    for one in study.tracked:
        assert one.run is not None
        path = one.run.eval / "test.json"
        if not path.exists():
            raise DataError(f"{one.run.name} has no scores: its recipe has no data.test")
        ((key, value),) = one.point.values.items()
        name = f"{key} {value}" if key == SEED else value
        decoded[name] = [decoded_of(r) for r in read_hypotheses(Path(read_evaluation(path)["hypotheses"]))]
        names[name] = one.run.name
    score, recipe = document.value.score, document.value
    about = {"study": label, "runs": names}
    normalizer = score.build_normalizer(data_root())
    evaluation = evaluate(decoded, normalizer, score.bootstrap, recipe.seed, about=about, scorer=score.scorer)
    return evaluation_json(evaluation, "")


def _whole(datasets: Sequence[Dataset]) -> dict[str, Any]:
    """The set's table, with the conditions that all its tables share."""
    table = {k: v for k, v in unstructure(datasets[0]).items() if k not in NOT_WANTED and v is not None}
    shared = {k: v for k, v in datasets[0].where.items() if all(d.where.get(k) == v for d in datasets)}
    return {**table, "where": shared}


def _values(dataset: Dataset, conditions: dict[str, Any], column: str, root: Path) -> list[str]:
    where = Where(conditions)
    found = set()
    for one in dataset.read(root).utterances:
        if where.fits_columns(one.id, one.text, one.columns) and one.columns.get(column) not in (None, ""):
            found.add(str(one.columns[column]))
    return sorted(found)


def _slug(value: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in value.lower())
