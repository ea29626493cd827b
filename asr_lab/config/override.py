"""`--set a.b[0].c=value`: the only way a recipe's data is changed from outside."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import tomli

from asr_lab.config.hints import shown
from asr_lab.config.paths import MAX_DEPTH, Path, is_too_deep, parse, spell
from asr_lab.errors import Problem

DefaultAt = Callable[[dict[str, Any], Path], Any]


@attrs.frozen
class Override:
    """One `--set`, read but not yet applied."""

    number: int
    """Its place on the command line, from 1."""
    path: Path
    value: Any

    @property
    def where(self) -> str:
        """How a problem names it."""
        return f"--set #{self.number}"


def read(text: str, number: int) -> Override:
    """`path=value` with a TOML value; a bare word is text. ValueError says what is wrong."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"must be KEY=VALUE, got {shown(text)}")
    override = Override(number, parse(key.strip()), _value(value.strip()))
    if len(override.path) > MAX_DEPTH or is_too_deep(override.value):
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
    return override


def apply(
    data: dict[str, Any], texts: Sequence[str], default_at: DefaultAt = lambda data, path: None
) -> tuple[dict[str, Any], list[Override], list[Problem]]:
    """The data with overrides put in, in order, so that the last one wins; the overrides, numbers between dots made
    list indices where a list stands; and what is wrong with the rest.

    `default_at(data, path)` is the table or list that stands where the data write none, None for an empty table.
    """
    done, problems = [], []
    for number, text in enumerate(texts, start=1):
        path: Path = ()
        try:
            override = read(text, number)
            path = override.path
            changed = copy.deepcopy(data)
            done.append(attrs.evolve(override, path=_put(changed, path, override.value, default_at)))
            data = changed
        except ValueError as error:
            problems.append(Problem(spell(path), str(error), f"--set #{number}"))
    return data, done, problems


def _value(text: str) -> Any:
    if not text:
        raise ValueError('has no value; an empty text is written KEY=""')
    try:
        # In a list on one line a comment or a second value shows.
        document = tomli.loads(f"v = [{text}]")
    except (ValueError, RecursionError) as error:
        if text[0] in "[{\"'":
            raise ValueError(f"{shown(text)} is not a TOML value: {getattr(error, 'msg', error)}") from None
        return text
    return document["v"][0] if len(document) == 1 and len(document["v"]) == 1 else text


def _put(data: dict[str, Any], path: Path, value: Any, default_at: DefaultAt) -> Path:
    """Set the value at a path and return it as it stands in the data."""
    place: Any = data
    reached: Path = ()
    for part in path[:-1]:
        part = _step(place, part, reached)
        reached = (*reached, part)
        if isinstance(place, dict) and part not in place:
            default = default_at(data, reached)
            place[part] = {} if default is None else default
        place = place[part]
    last = _step(place, path[-1], reached)
    place[last] = value
    return (*reached, last)


def _step(place: Any, part: str | int, reached: Path) -> str | int:
    """The part as a key of a table or an index of a list; ValueError where there is no such place."""
    name = spell(reached) or "the recipe"
    if isinstance(place, list):
        if isinstance(part, str) and part.isdecimal():
            part = int(part)
        if isinstance(part, str):
            raise ValueError(f"{name} is a list: take an element of it, {name}[0].{part}")
        if part >= len(place) and not place:
            raise ValueError(f"{name} is empty: set the whole list, {name}=[…]")
        if part >= len(place):
            raise ValueError(f"there is no {name}[{part}]: it has {len(place)}, from [0] on")
        return part
    if not isinstance(place, dict):
        raise ValueError(f"{name} is {shown(place)}, nothing stands below it")
    if isinstance(part, int):
        if not place:
            raise ValueError(f"the recipe does not write {name}: set the whole list, {name}=[…]")
        raise ValueError(f"{name} is a table, not a list")
    return part
