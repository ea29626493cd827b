"""Whatever is written in a recipe, the answer is a recipe or a report, never a crash."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_lab.compiler.facts import facts
from asr_lab.compiler.load import checked
from asr_lab.compiler.notes import notes
from asr_lab.config.load import loads
from asr_lab.config.words import toml
from asr_lab.errors import RecipeError
from asr_lab.recipe import Recipe

ROOT = Path(__file__).resolve().parents[3]
RECIPES = [tomli.loads(p.read_text(encoding="utf-8")) for p in sorted((ROOT / "recipes").rglob("*.toml"))]

SCALARS = st.one_of(
    st.sampled_from(
        [0, 1, -1, 2, 3, 7, 2**63, 0.0, 0.5, -0.0, 1e308, float("nan"), float("inf"), True, False, "", "none"]
    ),
    st.sampled_from(
        ["ctc", "attention", "mamba2", "folder", "whole", "ssm", "*", "!", "é", "\n", "whisper", "utterance"]
    ),
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "a", "dim"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [p for key, value in inside for p in [(*path, key), *places(value, (*path, key))]]


def spoil(data: dict[str, Any], drawn: st.DataObject) -> None:
    """Replace, remove or rename one thing."""
    path = drawn.draw(st.sampled_from(places(data)))
    place: Any = data
    for part in path[:-1]:
        place = place[part]
    how = drawn.draw(st.sampled_from(["replace", "replace", "remove", "rename"]))
    value = place.pop(path[-1])
    if how == "replace":
        value = drawn.draw(JUNK)
    if how == "remove":
        return
    if isinstance(place, list):
        place.insert(int(path[-1]), value)
    else:
        place[f"{path[-1]}x" if how == "rename" else path[-1]] = value


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recipe=st.sampled_from(RECIPES), drawn=st.data())
def test_a_spoilt_recipe_is_a_recipe_or_a_report_with_places(recipe: dict[str, Any], drawn: st.DataObject) -> None:
    data = copy.deepcopy(recipe)
    for _ in range(drawn.draw(st.integers(1, 3))):
        if places(data):
            spoil(data, drawn)
    text = "".join(f"{key} = {toml(value)}\n" for key, value in data.items())
    problems = []
    try:
        document = checked(loads(text, Recipe, "spoilt.toml"))
        assert str(facts(document))
        notes(document)
    except RecipeError as error:
        problems = error.problems
    assert all(p.line or "." not in p.path for p in problems), problems
