"""The scanner against an emitter that knows the line of everything it writes, and against every shipped recipe."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_lab.config.lines import line_numbers

ROOT = Path(__file__).resolve().parents[3]
RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))

TEXT = st.text(st.sampled_from("ab \"'#[]{}=,.\n\\é𝄞"), max_size=8)
KEYS = st.text(st.sampled_from("ab1_- .#\"'é="), max_size=4)
SCALARS = st.one_of(st.integers(-9, 99), st.booleans(), st.floats(-9, 9, width=16), TEXT)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5)


class Emitter:
    """Writes data as TOML in drawn styles and notes where each path comes to stand."""

    def __init__(self, data: st.DataObject) -> None:
        self.drawn = data
        self.text = ""
        self.lines: dict[tuple[str | int, ...], int] = {}

    def flip(self) -> bool:
        return self.drawn.draw(st.booleans())

    def pick(self, *options: str) -> str:
        return self.drawn.draw(st.sampled_from(options))

    def note(self, path: tuple[str | int, ...]) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def key(self, name: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9_-]+", name) and self.flip():
            return name
        return f"'{name}'" if "'" not in name and self.flip() else json.dumps(name, ensure_ascii=False)

    def table(self, path: tuple[str | int, ...], header: tuple[str, ...], data: dict[str, Any]) -> None:
        """The pairs of a table, then the tables below it with headers of their own."""
        later = []
        for name, value in data.items():
            if _is_tables(value) and self.flip():
                later.append((name, value))
            else:
                self.pair(path, "", name, value)
                self.text += self.pick("", " ", " # a [comment] = \"'") + self.pick("\n", "\r\n", "\n\n")
        for name, value in later:
            below, opened = (*path, name), (*header, name)
            dotted = ".".join(self.key(k) for k in opened)
            for index, element in enumerate(value if isinstance(value, list) else [value]):
                self.note(below)
                place = (*below, index) if isinstance(value, list) else below
                self.note(place)
                self.text += f"[[ {dotted} ]]\n" if isinstance(value, list) else f"[{dotted}] # x\n"
                self.table(place, opened, element)

    def pair(self, path: tuple[str | int, ...], prefix: str, name: str, value: Any) -> None:
        self.note((*path, name))
        written = prefix + self.key(name)
        if isinstance(value, dict) and value and self.flip():
            for i, (inner, one) in enumerate(value.items()):
                self.text += self.pick("\n", "\n# x\n") if i else ""
                self.pair((*path, name), written + self.pick(".", " . "), inner, one)
            return
        self.text += written + self.pick("=", " = ")
        self.value((*path, name), value)

    def value(self, path: tuple[str | int, ...], value: Any) -> None:
        if isinstance(value, dict):
            self.text += "{" + self.space()
            for i, (name, one) in enumerate(value.items()):
                self.text += ("," if i else "") + self.space()
                self.note((*path, name))
                self.text += self.key(name) + " = "
                self.value((*path, name), one)
                self.text += self.space()
            self.text += "}"
        elif isinstance(value, list):
            self.text += "[" + self.space()
            for index, one in enumerate(value):
                self.note((*path, index))
                self.value((*path, index), one)
                self.text += self.space() + ("," if index < len(value) - 1 or self.flip() else "") + self.space()
            self.text += "]"
        else:
            self.text += self.string(value) if isinstance(value, str) else json.dumps(value)

    def space(self) -> str:
        return self.pick("", " ", "\n", " # ], } \" '\n")

    def string(self, value: str) -> str:
        options = [json.dumps(value, ensure_ascii=False)]
        options.append('"""\n' + value.replace("\\", "\\\\").replace('"', '\\"') + '"""')
        if '"""' not in value and "\\" not in value:
            options.append(f'"""\n{value}"""')
        if "'''" not in value:
            options.append(f"'''\n{value}'''")
        if "'" not in value and "\n" not in value:
            options.append(f"'{value}'")
        return self.pick(*options)


def _is_tables(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)
    )


def every_path(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [p for key, value in inside for p in [(*path, key), *every_path(value, (*path, key))]]


@settings(max_examples=150, deadline=None)
@given(document=DOCUMENTS, data=st.data())
def test_every_path_of_any_document_has_its_line(document: dict[str, Any], data: st.DataObject) -> None:
    emitter = Emitter(data)
    emitter.table((), (), document)
    assert tomli.loads(emitter.text) == document, "the emitter itself is right"
    assert line_numbers(emitter.text) == emitter.lines
    assert set(emitter.lines) == set(every_path(document))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.stem)
def test_the_line_of_every_path_of_a_shipped_recipe_holds_its_key(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    data, lines = tomli.loads(text), line_numbers(text)
    assert set(lines) == set(every_path(data))
    for path, line in lines.items():
        written = text.splitlines()[line - 1]
        value: Any = data
        for part in path:
            value = value[part]
        if isinstance(path[-1], str):
            assert path[-1] in written
        else:
            assert ("{" in written or "[[" in written) if isinstance(value, dict) else str(value) in written


def test_a_header_names_the_line_of_a_table_that_was_opened_before_it() -> None:
    assert line_numbers("[a.b]\nc = 1\n[a]\nd = 2\n")["a",] == 3


def test_a_header_below_an_array_of_tables_belongs_to_its_last_element() -> None:
    lines = line_numbers("[[a]]\n[a.b]\nc = 1\n[[a]]\n[a.b]\nc = 1\n[[a.d]]\n[[a.d]]\nx = 1\n")
    assert lines["a", 0, "b", "c"] == 3
    assert lines["a", 1, "b", "c"] == 6
    assert lines["a", 1, "d", 1, "x"] == 9


def test_dates_with_a_blank_and_strings_that_end_in_quotes_are_one_value() -> None:
    text = 'a = [ 1979-05-27 07:32:00, """x"""", \'\'\'y\'\'\'\'\', ""]\nb = 1\n'
    assert line_numbers(text) == {("a",): 1, ("a", 0): 1, ("a", 1): 1, ("a", 2): 1, ("a", 3): 1, ("b",): 2}


def test_a_long_recipe_is_scanned_in_linear_time() -> None:
    text = "x = [\n" + '  { a = "b", c = [1, 2, """d\n"""] }, # e\n' * 20_000 + "]\n"
    assert line_numbers(text)["x", 19_999, "c", 2] == 39_999 + 1
