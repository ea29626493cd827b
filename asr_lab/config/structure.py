"""Strict structuring: plain data to sections and back, with every problem at once, each under its path.

cattrs finds the hook for each annotation. The hooks here replace its own, which coerce (`2.9` to `2`, `"false"` to
true) and stop at a class's first bad bound. The only conversion left is a whole number where a float is meant.
"""

from __future__ import annotations

import datetime
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

import attrs
import cattrs

from asr_lab.config.fields import Field, can_say_none, fields, is_optional, list_or_other, without_none
from asr_lab.config.hints import did_you_mean, nearest, not_among, shown
from asr_lab.config.paths import Path
from asr_lab.config.section import Slot
from asr_lab.config.validators import KeyProblem
from asr_lab.config.words import expected, inside, is_slot

T = TypeVar("T")
NONE = "none"
"""What a recipe writes where an optional key is to be None: TOML has no null."""


class Invalid(Exception):  # noqa: N818 - carries problems, is not one
    """All that is wrong with some data: (path from its root, message) each."""

    def __init__(self, problems: list[tuple[Path, str]]) -> None:
        super().__init__(problems)
        self.problems = problems


def structure(data: Mapping[str, Any], schema: type[T]) -> T:
    """The section that some data spells; raises Invalid with every problem."""
    return _converter().structure(data, schema)


def unstructure(value: Any, without_absent: bool = False) -> Any:
    """A section fully resolved, as plain data: keys as in a recipe, `type` tags included.

    None is left out where it is the default and `"none"` elsewhere, so that the form is TOML. `without_absent` leaves
    out each key whose value is the one that its absence stands for.
    """
    if isinstance(value, Mapping):
        return {key: unstructure(v, without_absent) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [unstructure(v, without_absent) for v in value]
    if not attrs.has(type(value)):
        return value
    plain: dict[str, Any] = {"type": value.tag()} if isinstance(value, Slot) else {}
    section: type = type(value)
    for field in fields(section):
        one = getattr(value, field.name)
        if without_absent and field.means_absence(one):
            continue
        if one is not None:
            plain[field.key] = unstructure(one, without_absent)
        elif not field.leaves_none_out:
            plain[field.key] = NONE
    return plain


def completed(data: Any, annotation: Any) -> Any:
    """The resolved form of an older schema with the keys added since, at the values that their absence stands for.

    Keys and choices that the schema does not have any more stay as they are.
    """
    place = inside(annotation)
    if isinstance(data, list):
        return [completed(one, place) for one in data]
    if not isinstance(data, Mapping):
        return data
    if get_origin(without_none(annotation)) is dict:
        return {key: completed(one, place) for key, one in data.items()}
    if is_slot(place):
        place = place.choice(str(data.get("type")))
    if not (isinstance(place, type) and attrs.has(place)):
        return data
    whole = dict(data)
    for field in fields(place):
        if field.key in data:
            whole[field.key] = completed(data[field.key], field.type)
        elif field.absent is not attrs.NOTHING and not field.leaves_none_out:
            absent = field.absent_value()
            whole[field.key] = NONE if absent is None else unstructure(absent)
    return whole


@functools.cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(structure_fallback_factory=_unsupported)
    for scalar in (bool, int, float, str):
        converter.register_structure_hook(scalar, functools.partial(_scalar))
    converter.register_structure_hook_func(lambda t: t is Any, _plain)
    hooks: list[tuple[Callable[[Any], bool], Callable[[cattrs.Converter, Any, Any], Any]]] = [
        (lambda t: attrs.has(t), _section),
        (lambda t: isinstance(t, type) and issubclass(t, Slot) and t.is_slot(), _choice),
        (lambda t: get_origin(t) is Literal, _literal),
        (lambda t: get_origin(t) is tuple, _tuple),
        (lambda t: get_origin(t) is dict, _dict),
        (is_optional, _optional),
        (lambda t: list_or_other(t) is not None, _list_or_other),
    ]
    for applies, hook in hooks:
        converter.register_structure_hook_func(applies, functools.partial(hook, converter))
    return converter


def _unsupported(annotation: Any) -> NoReturn:
    raise TypeError(f"a section's field cannot be of type {annotation}")


def _fail(message: str) -> NoReturn:
    raise Invalid([((), message)])


@contextmanager
def _under(key: str | int, problems: list[tuple[Path, str]]) -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        problems.extend(((key, *path), message) for path, message in error.problems)


def _section(converter: cattrs.Converter, data: Any, schema: type) -> Any:
    if not isinstance(data, Mapping):
        _fail(f"must be a table, got {_list_of_tables(data) or shown(data)}")
    known = fields(schema)
    keys = [f.key for f in known]
    problems: list[tuple[Path, str]] = []
    meant = set()
    for key in data:
        if key not in keys:
            problems.append(((key,), _unknown(key, keys, getattr(schema, "REPLACED", {}))))
            meant.add(nearest(key, keys))
    values = {}
    for field in known:
        if field.key in data:
            with _under(field.key, problems):
                values[field.name] = _accepted(converter.structure(data[field.key], field.type), data[field.key], field)
        elif field.required and field.key not in meant:
            problems.append(((field.key,), f"missing; must be {expected(field.type)}"))
    if problems:
        raise Invalid(problems)
    try:
        return schema(**values)
    except KeyProblem as error:
        raise Invalid([((error.key,), error.message)]) from None
    except ValueError as error:
        raise Invalid([((), str(error))]) from None


def _unknown(key: str, keys: Sequence[str], replaced: Mapping[str, str]) -> str:
    """What to say of a key that a section does not have; `replaced` are those it had, with what to write now."""
    if key in replaced:
        return f"is gone; {replaced[key]}"
    hint = did_you_mean(key, keys) or f" (have: {', '.join(keys) or 'nothing'})"
    return f"unknown key{hint}"


def _accepted(value: Any, written: Any, field: Field) -> Any:
    """The value, once all demands on it are met."""
    for demand in field.demands if value is not None else ():
        if (problem := demand.problem(value, written)) is not None:
            _fail(problem)
    return value


def _choice(converter: cattrs.Converter, data: Any, slot: type[Slot]) -> Any:
    name = slot.__name__
    if not isinstance(data, Mapping):
        known = isinstance(data, str) and slot.choice(data) is not None
        hint = f'; write {{ type = "{data}" }}' if known else ""
        _fail(f"must be a table with a type, got {_list_of_tables(data) or shown(data)}{hint}")
    tag = data.get("type")
    if tag is None:
        meant = next((key for key in data if nearest(key, ["type"])), None)
        if meant is not None:
            raise Invalid([((meant,), f"unknown key; did you mean 'type'? The {name}s are {', '.join(slot.tags())}")])
        raise Invalid([(("type",), f"missing; the {name}s are {', '.join(slot.tags())}")])
    if not isinstance(tag, str):
        raise Invalid([(("type",), f"must be text, got {shown(tag)}")])
    choice = slot.choice(tag)
    if choice is None:
        raise Invalid([(("type",), not_among(name, tag, slot.tags()))])
    return converter.structure({k: v for k, v in data.items() if k != "type"}, choice)


def _scalar(value: Any, wanted: type) -> Any:
    exact = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not exact and not (wanted is float and whole):
        _fail(f"must be {expected(wanted)}, got {shown(value)}{_unquoted(value, wanted)}")
    _finite(value)
    return wanted(value)


def _unquoted(value: Any, wanted: type) -> str:
    """A hint for a number or a truth value that stands in quotes."""
    patterns = {bool: r"true|false", int: r"[+-]?\d+", float: r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?"}
    quoted = isinstance(value, str) and re.fullmatch(patterns.get(wanted, r"(?!)"), value)
    return "; write it without quotes" if quoted else ""


def _finite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        _fail(f"must be a finite number, got {value}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        _fail(f"must fit into 64 bits, got {shown(value)}")


def _plain(value: Any, _: Any) -> Any:
    """Data of any shape, as it is; what JSON cannot hold is refused."""
    problems: list[tuple[Path, str]] = []
    if isinstance(value, datetime.date | datetime.time):
        _fail(f"must be text, a number, true or false, got {shown(value)}; quote it")
    _finite(value)
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        with _under(key, problems):
            _plain(one, Any)
    if problems:
        raise Invalid(problems)
    return value


def _literal(_: cattrs.Converter, value: Any, annotation: Any) -> Any:
    options = get_args(annotation)
    if isinstance(value, bool) or not isinstance(value, str | int) or value not in options:
        _fail(f"must be {expected(annotation)}, got {shown(value)}{did_you_mean(str(value), map(str, options))}")
    return value


def _tuple(converter: cattrs.Converter, value: Any, annotation: Any) -> Any:
    inner = get_args(annotation)
    if not isinstance(value, list | tuple):
        hint = f"; write [{shown(value)}]" if isinstance(value, str | int | float) else ""
        hint = "; a list of tables is written [[…]]" if isinstance(value, Mapping) else hint
        _fail(f"must be {expected(annotation)}, got {shown(value)}{hint}")
    each = [inner[0]] * len(value) if inner[-1] is ... else list(inner)
    if len(each) != len(value):
        _fail(f"must be {expected(annotation)}, got {len(value)}")
    problems: list[tuple[Path, str]] = []
    found = []
    for index, (one, wanted) in enumerate(zip(value, each, strict=True)):
        with _under(index, problems):
            found.append(converter.structure(one, wanted))
    if problems:
        raise Invalid(problems)
    return tuple(found)


def _dict(converter: cattrs.Converter, value: Any, annotation: Any) -> Any:
    _, wanted = get_args(annotation)
    if not isinstance(value, Mapping):
        _fail(f"must be a table, got {_list_of_tables(value) or shown(value)}")
    problems: list[tuple[Path, str]] = []
    found = {}
    for key, one in value.items():
        with _under(key, problems):
            found[key] = converter.structure(one, wanted)
    if problems:
        raise Invalid(problems)
    return found


def _optional(converter: cattrs.Converter, value: Any, annotation: Any) -> Any:
    if value is None or (value == NONE and can_say_none(annotation)):
        return None
    return converter.structure(value, without_none(annotation))


def _list_or_other(converter: cattrs.Converter, value: Any, annotation: Any) -> Any:
    both = list_or_other(annotation)
    assert both is not None
    many, other = both
    if isinstance(value, list | tuple):
        return converter.structure(value, many)
    words = get_args(other)
    if (isinstance(value, str) and value in words) or (not words and isinstance(value, Mapping)):
        return converter.structure(value, other)
    hint = ""
    if isinstance(value, str):
        known = not words and other.choice(value) is not None
        hint = f"; write [{shown(value)}]" if words else f'; write {{ type = "{value}" }}' if known else ""
    _fail(f"must be {expected(annotation)}, got {shown(value)}{hint}")


def _list_of_tables(value: Any) -> str:
    """What a list of tables is called where one table is meant."""
    tables = isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value)
    return "a list of tables; a single table is written […]" if tables else ""
