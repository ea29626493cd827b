"""The points of a study: each is a recipe of its own, read and checked before the first is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from asr_lab.compiler.load import checked
from asr_lab.config.grid import GridPoint, short_names
from asr_lab.config.load import Document, in_order, loads, read_text
from asr_lab.errors import Problem, RecipeError
from asr_lab.recipe import Recipe
from asr_lab.runs.directory import identity_of

SEED = "seed"
"""The key whose values are repetitions: runs that differ in it alone are of one arm."""
NAMED = 2
"""Points named beside a problem."""


@attrs.frozen
class StudyPoint:
    """One run that the study asks for."""

    label: str
    values: dict[str, str]
    """What is its own, by key."""
    document: Document[Recipe]
    hash: str
    arm: str
    """What it is but for its seed: the same text for all its repetitions."""

    @property
    def seed(self) -> str:
        """Its seed."""
        return str(self.document.value.seed)


def points_of(recipe: Path, grid: Sequence[GridPoint]) -> list[StudyPoint]:
    """Every point's recipe; RecipeError holds all problems of all points, those across points too.

    The file is read once: whatever is written into it later is no part of the study.
    """
    text, names = read_text(recipe), short_names([key for one in grid[:1] for key in one.values])
    points: list[StudyPoint] = []
    problems: dict[Problem, list[str]] = {}
    for one in grid:
        label, arm = (
            " ".join(f"{names[key]}={value}" for key, value in one.values.items() if key != but) for but in ("", SEED)
        )
        try:
            document = checked(loads(text, Recipe, str(recipe), one.overrides))
        except RecipeError as error:
            for problem in error.problems:
                problems.setdefault(problem, []).append(label)
            continue
        points.append(StudyPoint(label, dict(one.values), document, identity_of(document.value).hash, arm))
    found = [_of_points(problem, labels, len(grid)) for problem, labels in problems.items()]
    if found := in_order(found) + _across(points):
        raise RecipeError(str(recipe), found)
    return points


def _of_points(problem: Problem, labels: Sequence[str], count: int) -> Problem:
    """A problem with the points that have it, unless all do."""
    if len(labels) == count:
        return problem
    more = f" and {len(labels) - NAMED:,} more" if len(labels) > NAMED else ""
    return attrs.evolve(problem, message=f"{problem.message} ({', '.join(labels[:NAMED])}{more})")


def _across(points: Sequence[StudyPoint]) -> list[Problem]:
    """What is wrong between points: two that are one experiment, and several metrics to choose by."""
    first: dict[str, StudyPoint] = {}
    for point in points:
        other = first.setdefault(point.hash, point)
        if other is not point:
            message = (
                f"{other.label} and {point.label} are one training run: a sweep varies what decides the weights; "
                "decoding and scoring are varied on a finished run, asrlab eval --set"
            )
            return [_at_change(other, point, message)]
    for point in points[1:]:
        if point.document.value.train.metric != points[0].document.value.train.metric:
            return [point.document.problem("train.metric", "must be one for all points: they are chosen by it")]
    return []


def _at_change(one: StudyPoint, other: StudyPoint, message: str) -> Problem:
    keys = [key for key in one.values if one.values[key] != other.values.get(key)]
    return other.document.problem(keys[0], message) if keys else Problem("", message, other.document.file)
