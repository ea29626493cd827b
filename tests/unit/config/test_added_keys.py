"""A key that is added to a section later leaves the hashes of recipes from before it as they are."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asr_lab.config import validators as v
from asr_lab.config.difference import KeyChange, difference
from asr_lab.config.fields import fields
from asr_lab.config.identity import identify
from asr_lab.config.load import load
from asr_lab.config.section import added, section
from asr_lab.config.structure import completed, structure, unstructure
from asr_lab.recipe import EVALUATION, EXECUTION, Recipe

SHIPPED = sorted((Path(__file__).resolve().parents[3] / "recipes").glob("*.toml"))
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([0.5, -2.5]) | st.sampled_from(["", "a", "b"])
VALUES = PLAIN | st.lists(PLAIN, max_size=2).map(tuple)


@section
class Inner:
    a: int = 1
    later: float = added(default=2.0, absent=0.5, validator=v.gt(0))
    same: bool = added(default=False)


@section
class InnerBefore:
    a: int = 1


@section
class Outer:
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = attrs.field(factory=dict)
    maybe: Inner | None = None
    table: Inner = added(default=Inner(), absent=Inner(a=3))
    switched_off: int | None = added(default=5, absent=None)
    switched_on: int | None = added(default=None, absent=5)
    free: dict[str, Any] = added(default=attrs.Factory(dict))


@section
class OuterBefore:
    inner: InnerBefore = InnerBefore()
    many: tuple[InnerBefore, ...] = ()
    named: dict[str, InnerBefore] = attrs.field(factory=dict)
    maybe: InnerBefore | None = None


OLD = Inner(later=0.5)
AS_BEFORE = {"table": Inner(a=3), "switched_off": None, "switched_on": 5}


def hash_of(value: Any) -> str:
    return identify(value, EXECUTION, EVALUATION).hash


def test_a_key_is_left_out_of_the_hash_at_the_value_of_its_absence_and_nowhere_else() -> None:
    assert hash_of(OLD) == hash_of(InnerBefore())
    assert len({hash_of(OLD), hash_of(Inner()), hash_of(Inner(later=3.0)), hash_of(Inner(later=0.5, same=True))}) == 4


def test_so_it_is_inside_tables_lists_and_tables_by_name_and_for_a_whole_table() -> None:
    before = OuterBefore(many=(InnerBefore(), InnerBefore(a=2)), named={"x": InnerBefore()}, maybe=InnerBefore())
    after = Outer(inner=OLD, many=(OLD, Inner(a=2, later=0.5)), named={"x": OLD}, maybe=OLD, **AS_BEFORE)
    assert hash_of(after) == hash_of(before)
    for change in ({"inner": Inner()}, {"many": (OLD, OLD)}, {"named": {"x": Inner()}}, {"maybe": Inner()}):
        assert hash_of(attrs.evolve(after, **change)) != hash_of(before)
    for change in ({"table": Inner()}, {"switched_off": 5}, {"switched_on": None}, {"free": {"k": 1}}):
        assert hash_of(attrs.evolve(after, **change)) != hash_of(before)


def test_the_stored_form_spells_it_out_and_reads_back() -> None:
    assert unstructure(OLD) == {"a": 1, "later": 0.5, "same": False}
    for value in (Outer(), Outer(inner=OLD, **AS_BEFORE)):
        assert structure(unstructure(value), Outer) == value
        assert completed(unstructure(value), Outer) == unstructure(value)


def test_a_stored_form_from_before_is_completed_with_what_absence_stands_for() -> None:
    before = OuterBefore(many=(InnerBefore(),), named={"x": InnerBefore()}, maybe=InnerBefore(a=7))
    after = Outer(inner=OLD, many=(OLD,), named={"x": OLD}, maybe=Inner(a=7, later=0.5), **AS_BEFORE)
    assert completed(unstructure(before), Outer) == unstructure(after)


def test_so_a_difference_shows_a_default_that_is_not_what_absence_stands_for() -> None:
    stored = completed(unstructure(OuterBefore()), Outer)
    assert difference(stored, unstructure(Outer())) == [
        KeyChange("inner.later", 0.5, 2.0),
        KeyChange("table.a", 3, 1),
        KeyChange("switched_off", "none", 5),
        KeyChange("switched_on", 5, "none"),
    ]


def test_what_the_schema_does_not_have_any_more_stays() -> None:
    stored = {"inner": {"a": 1, "gone": 2}, "gone": [{"x": 1}], "maybe": "none"}
    whole = completed(stored, Outer)
    assert whole["inner"] == {"a": 1, "gone": 2, "later": 0.5, "same": False}
    assert (whole["gone"], whole["maybe"]) == ([{"x": 1}], "none")
    assert completed({"augment": [{"type": "gone", "x": 1}]}, Recipe)["augment"] == [{"type": "gone", "x": 1}]


def test_spec_augments_warp_is_one() -> None:
    (recipe,) = (load(p, Recipe).value for p in SHIPPED if p.stem == "conformer_tiny")
    stored = unstructure(recipe)
    assert stored["augment"][1].pop("max_warp_share") == 0.0
    assert completed(stored, Recipe) == unstructure(recipe)


@functools.cache
def recipes() -> list[Recipe]:
    return [load(path, Recipe).value for path in SHIPPED]


def sections_in(value: Any) -> Iterator[type]:
    """Every class of section in a value, itself included."""
    if attrs.has(type(value)):
        yield type(value)
        value = {f.name: getattr(value, f.name) for f in fields(type(value))}
    for one in value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else ():
        yield from sections_in(one)


def put(value: Any, old: type, new: type, **keys: Any) -> Any:
    """The value with each section of one class made one of another, with more keys."""
    if isinstance(value, tuple):
        return tuple(put(one, old, new, **keys) for one in value)
    if isinstance(value, Mapping):
        return {key: put(one, old, new, **keys) for key, one in value.items()}
    if not attrs.has(type(value)):
        return value
    own = {f.name: put(getattr(value, f.name), old, new, **keys) for f in fields(type(value))}
    return new(**own, **keys) if type(value) is old else type(value)(**own)


SECTIONS = {cls: recipe for recipe in recipes() for cls in sections_in(recipe)}
"""Each class of section that a shipped recipe holds, with such a recipe."""


@pytest.mark.parametrize("cls", SECTIONS, ids=lambda cls: cls.__name__)
@given(absent=VALUES, other=VALUES, changed=st.booleans())
@settings(max_examples=20)
def test_a_key_added_to_any_section_changes_the_hash_only_where_its_value_does(
    cls: type, absent: Any, other: Any, changed: bool
) -> None:
    assume(absent != other)
    recipe = SECTIONS[cls]
    key = added(default=other, absent=absent) if changed else added(default=absent)
    body = {"__module__": cls.__module__, "__annotations__": {"fresh": Any}, "fresh": key}
    grown = section(type(cls.__name__, (cls,), body))
    identity = identify(put(recipe, cls, grown, fresh=absent), EXECUTION, EVALUATION)
    assert identity.hash == hash_of(recipe)
    after = identify(put(recipe, cls, grown, fresh=other), EXECUTION, EVALUATION)
    assert (after.hash == identity.hash) == (after.experiment == identity.experiment)
