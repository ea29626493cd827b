"""Strict structuring, on sections and a slot of its own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lab.config import validators as v
from asr_lab.config.section import Slot, section
from asr_lab.config.structure import Invalid, structure, unstructure
from asr_lab.errors import LabError


@section
class Inner:
    """A table."""

    size: int = attrs.field(default=4, validator=v.ge(1))
    from_: str | None = None


@section
class Outer:
    """All kinds of keys."""

    count: int = attrs.field(validator=v.all_of(v.ge(0), v.lt(100)))
    share: float = 0.5
    flag: bool = False
    word: str = "x"
    kind: Literal["red", "green"] = "red"
    mode: Literal["whole"] | None = None
    limit: float | None = attrs.field(default=1.5, validator=v.optional(v.gt(0)))  # type: ignore[arg-type]
    pair: tuple[float, float] = (0.0, 1.0)
    words: tuple[str, ...] = ()
    inner: Inner = Inner()
    maybe: Inner | None = None
    inners: tuple[Inner, ...] = ()
    named: dict[str, Inner] = attrs.field(factory=dict)
    anything: dict[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.word == "bad":
            raise v.KeyProblem("word", "must be good")
        if self.word == "worse":
            raise ValueError("word for word, the table as a whole is wrong")


def problems(data: dict[str, Any], schema: type = Outer) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(Invalid) as caught:
        structure(data, schema)
    return dict(caught.value.problems)


def test_defaults_are_filled_in() -> None:
    assert structure({"count": 3}, Outer) == Outer(count=3)


def test_a_whole_number_becomes_a_float_where_one_is_meant() -> None:
    found = structure({"count": 3, "share": 1, "pair": [0, 2]}, Outer)
    assert (found.share, found.pair) == (1.0, (0.0, 2.0))
    assert isinstance(found.share, float)
    assert isinstance(found.pair[1], float)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("count", 2.0),
        ("count", True),
        ("count", "2"),
        ("count", None),
        ("share", "0.5"),
        ("share", True),
        ("flag", 1),
        ("flag", "true"),
        ("word", 3),
        ("kind", "blue"),
        ("kind", True),
        ("kind", ["red"]),
        ("pair", [1.0]),
        ("pair", "ab"),
        ("words", "ab"),
        ("words", {"a": 1}),
        ("inner", 3),
        ("inner", [{"size": 1}]),
        ("inners", {"size": 1}),
        ("named", [{"size": 1}]),
        ("anything", 3),
    ],
)
def test_nothing_else_is_converted(key: str, value: Any) -> None:
    assert (key,) in problems({"count": 1, key: value})


def test_every_problem_is_found_at_once_with_its_path() -> None:
    found = problems(
        {
            "count": 200,
            "shar": 1,
            "flag": 1,
            "pair": [0, "x"],
            "inner": {"size": 0, "form": "x"},
            "inners": [{"size": 1}, {"size": "x"}],
            "named": {"a": {"size": 1}, "b": {"sise": 1}},
            "anything": {"a": [1, float("nan")]},
        }
    )
    assert found == {
        ("count",): "must be below 100, got 200",
        ("shar",): "unknown key; did you mean 'share'?",
        ("flag",): "must be true or false, got 1",
        ("pair", 1): "must be a number, got 'x'",
        ("inner", "size"): "must be at least 1, got 0",
        ("inner", "form"): "unknown key; did you mean 'from'?",
        ("inners", 1, "size"): "must be a whole number, got 'x'",
        ("named", "b", "sise"): "unknown key; did you mean 'size'?",
        ("anything", "a", 1): "must be a finite number, got nan",
    }


def test_a_missing_key_is_named_unless_it_is_there_misspelt() -> None:
    assert problems({}) == {("count",): "missing; must be a whole number"}
    assert problems({"cuont": 3}) == {("cuont",): "unknown key; did you mean 'count'?"}


def test_a_field_that_is_a_keyword_has_the_keyword_as_its_key() -> None:
    assert structure({"from": "x"}, Inner).from_ == "x"
    assert ("from_",) in problems({"from_": "x"}, Inner)
    assert unstructure(Inner(from_="x")) == {"size": 4, "from": "x"}


def test_a_key_problem_goes_to_its_key_and_any_other_to_the_section() -> None:
    assert problems({"count": 1, "word": "bad"}) == {("word",): "must be good"}
    assert problems({"count": 1, "word": "worse"}) == {(): "word for word, the table as a whole is wrong"}


def test_none_can_be_written_for_any_optional_key_but_text() -> None:
    found = structure({"count": 1, "limit": "none", "mode": "none", "maybe": "none"}, Outer)
    assert (found.limit, found.mode, found.maybe) == (None, None, None)
    assert structure({"from": "none"}, Inner).from_ == "none"


def test_numbers_that_no_machine_holds_are_refused() -> None:
    assert problems({"count": 2**63}) == {("count",): "must fit into 64 bits, got 9223372036854775808"}
    assert problems({"count": 1, "share": 10**400}) == {
        ("share",): "must fit into 64 bits, got a number of more than 20 digits"
    }
    assert problems({"count": 1, "share": float("-inf")}) == {("share",): "must be a finite number, got -inf"}


@given(
    st.builds(
        Outer,
        count=st.integers(0, 99),
        share=st.floats(allow_nan=False, allow_infinity=False),
        kind=st.sampled_from(["red", "green"]),
        limit=st.none() | st.floats(0.1, 9),
        words=st.lists(st.text(max_size=3)).map(tuple),
        maybe=st.none() | st.builds(Inner, size=st.integers(1, 9)),
        inners=st.lists(st.builds(Inner, size=st.integers(1, 9), from_=st.none() | st.text()), max_size=3).map(tuple),
        anything=st.dictionaries(st.text(max_size=3), st.integers(-5, 5) | st.text() | st.lists(st.booleans())),
    )
)
def test_structuring_undoes_unstructuring(value: Outer) -> None:
    assert structure(unstructure(value), Outer) == value


SHAPES = '''
from __future__ import annotations
from asr_lab.config.section import Slot, section

class Shape(Slot):
    """A shape."""
'''
CIRCLE = '''
from __future__ import annotations
import attrs
from asr_lab.config import validators as v
from asr_lab.config.section import section
from shapes import Shape

@section
class Circle(Shape):
    """Round."""

    radius: float = attrs.field(default=1.0, validator=v.gt(0))
    """From the middle to the rim."""
'''


@pytest.fixture
def shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Slot]]:
    """A slot with one choice, in a package of its own."""
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "__init__.py").write_text(SHAPES)
    (tmp_path / "shapes" / "circle.py").write_text(CIRCLE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("shapes").Shape
    for name in [n for n in sys.modules if n.partition(".")[0] == "shapes"]:
        del sys.modules[name]


def test_a_slot_picks_the_section_by_its_modules_name(shape: type[Slot]) -> None:
    found: Any = structure({"type": "circle", "radius": 2}, shape)
    assert (found.tag(), found.radius) == ("circle", 2.0)
    assert unstructure(found) == {"type": "circle", "radius": 2.0}


def test_a_slot_names_its_choices(shape: type[Slot]) -> None:
    assert problems({"type": "circel"}, shape) == {
        ("type",): "no Shape called 'circel'; did you mean 'circle'? (have: circle)"
    }
    assert problems({}, shape) == {("type",): "missing; the Shapes are circle"}
    assert problems({"type": 3}, shape) == {("type",): "must be text, got 3"}
    assert problems({"type": "circle", "radius": -1}, shape) == {("radius",): "must be above 0.0, got -1"}
    assert problems({"type": "../circle"}, shape).keys() == {("type",)}


def test_a_file_on_the_path_is_a_choice(shape: type[Slot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = tmp_path / "mine" / "shapes"
    more.mkdir(parents=True)
    (more / "square.py").write_text(CIRCLE.replace("Circle", "Square"))
    monkeypatch.setenv("ASRLAB_PATH", str(tmp_path / "mine"))
    assert shape.tags() == ("circle", "square")


def test_only_the_module_that_is_chosen_is_imported(shape: type[Slot], tmp_path: Path) -> None:
    (tmp_path / "shapes" / "square.py").write_text(CIRCLE.replace("Circle", "Square"))
    (tmp_path / "shapes" / "notes.py").write_text("# no shape")
    assert shape.choice("notes") is None
    assert shape.choice("oval") is None
    structure({"type": "circle"}, shape)
    assert "shapes.square" not in sys.modules
    assert shape.tags() == tuple(shape.choices()) == ("circle", "square")


def test_a_module_that_cannot_be_imported_is_named_where_it_is_chosen(shape: type[Slot], tmp_path: Path) -> None:
    (tmp_path / "shapes" / "broken.py").write_text("import nothing_of_that_name")
    with pytest.raises(LabError, match=r"shapes/broken\.py cannot be imported: ModuleNotFoundError: No module named"):
        structure({"type": "broken"}, shape)
    assert unstructure(structure({"type": "circle"}, shape))["type"] == "circle"
    assert problems({"type": "oval"}, shape) == {("type",): "no Shape called 'oval' (have: broken, circle)"}
    with pytest.raises(LabError, match=r"shapes/broken\.py"):
        shape.choices()


def test_a_key_may_take_a_list_or_a_table_with_a_type() -> None:
    from asr_lab.recipe import Score

    named = structure({"normalizer": {"type": "basic", "strip_accents": True}}, Score)
    assert unstructure(named)["normalizer"] == {"type": "basic", "strip_accents": True}
    assert structure({"normalizer": ["nfc"]}, Score).steps == ("nfc",)
    assert named.steps is None
    for written, message in [
        ("english", "got 'english'; write { type = \"english\" }"),
        (5, "must be a list or a table with a type: basic, english"),
        (["nfcc"], "did you mean 'nfc'"),
        ({"type": "englisch"}, "did you mean 'english'"),
        (["nfc"] * 33, "must hold at most 32 steps, got 33"),
    ]:
        with pytest.raises(Invalid) as error:
            structure({"normalizer": written}, Score)
        assert message in error.value.problems[0][1]
