"""`--set key=a,b,c`: several values of a key, and the points of the grid that several keys span."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import attrs

from asr_lab.config.hints import shown
from asr_lab.config.paths import Path, parse, spell
from asr_lab.errors import Problem, RecipeError

MAX_POINTS = 1000
"""No grid is larger."""
_OPEN, _CLOSE, _QUOTES = "[{", "]}", "\"'"


@attrs.frozen
class Axis:
    """One `--set`: a key and the values it takes in turn; with one value it is an ordinary override."""

    number: int
    """Its place on the command line, from 1."""
    key: str
    values: tuple[str, ...]
    """TOML, or bare words that are text."""


@attrs.frozen
class GridPoint:
    """One choice of a value for each key that varies."""

    values: dict[str, str]
    """By key, those that vary alone."""
    overrides: tuple[str, ...]
    """`key=value` of every `--set`, in order."""


def axes(texts: Sequence[str], file: str) -> list[Axis]:
    """What each `--set` asks for; RecipeError, headed by the recipe's file, with every one that is not right."""
    found: list[Axis] = []
    problems = []
    for number, text in enumerate(texts, start=1):
        path: Path = ()
        try:
            key, equals, rest = text.partition("=")
            if not equals:
                raise ValueError(f"must be KEY=VALUE or KEY=VALUE,VALUE,…, got {shown(text)}")
            path = parse(key.strip())
            values = split_values(rest)
            if len(values) > 1 and "" in values:
                raise ValueError('has an empty value between its commas; a text with a comma is written "a,b"')
            if len(set(values)) < len(values):
                twice = next(value for value in values if values.count(value) > 1)
                raise ValueError(f"has the value {twice} twice")
            found.append(Axis(number, spell(path), values))
        except ValueError as error:
            problems.append(Problem(spell(path), str(error), f"--set #{number}"))
    for one in found:
        other = next((o for o in found if o.key == one.key and o is not one), None)
        if other is not None and len(one.values) > 1:
            problems.append(
                Problem(
                    one.key, f"is set by --set #{other.number} too: give all its values in one", f"--set #{one.number}"
                )
            )
    if problems:
        raise RecipeError(file, problems)
    return found


def grid(texts: Sequence[str], file: str) -> list[GridPoint]:
    """Every combination of the values, the last key varying fastest; RecipeError as from `axes`, or for too many."""
    every = axes(texts, file)
    if (count := math.prod(len(axis.values) for axis in every)) > MAX_POINTS:
        message = f"span {count:,} points; a sweep has at most {MAX_POINTS:,}"
        raise RecipeError(file, [Problem("", message, "--set")])
    varying = [axis for axis in every if len(axis.values) > 1]
    points = []
    for values in itertools.product(*(axis.values for axis in every)):
        chosen = dict(zip((axis.number for axis in every), values, strict=True))
        overrides = tuple(f"{axis.key}={chosen[axis.number]}" for axis in every)
        points.append(GridPoint({axis.key: chosen[axis.number] for axis in varying}, overrides))
    return points


def split_values(text: str) -> tuple[str, ...]:
    """The values between commas that stand outside brackets and quotes; blanks around them go.

    A quote opens where a value begins, or inside brackets: `it's` is a bare word. What is not closed is one value.
    """
    values, start, depth, quote, escaped = [], 0, 0, "", False
    for place, letter in enumerate(text):
        if quote:
            if escaped:
                escaped = False
            elif letter == "\\" and quote == '"':
                escaped = True
            elif letter == quote:
                quote = ""
        elif letter in _QUOTES and (depth or not text[start:place].strip(f" \t{letter}")):
            quote = letter
        elif letter in _OPEN:
            depth += 1
        elif letter in _CLOSE:
            depth = max(0, depth - 1)
        elif letter == "," and not depth:
            values.append(text[start:place].strip())
            start = place + 1
    return (*values, text[start:].strip())


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Each key's last part, or as many of its last parts as tell it from the others."""
    found = {}
    for key in keys:
        parts = key.split(".")
        ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        found[key] = next((end for end in ends if not any(o != key and f".{o}".endswith(f".{end}") for o in keys)), key)
    return found
