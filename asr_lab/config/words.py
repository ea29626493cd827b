"""What a key takes, in words, and how a value is written."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import attrs

from asr_lab.config.fields import list_or_other, without_none
from asr_lab.config.paths import quote
from asr_lab.config.section import Slot

_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Any: "any value"}


def expected(annotation: Any) -> str:
    """What a field of this annotation takes: `a whole number`, `one of a, b`, `a list of tables`."""
    annotation = without_none(annotation)
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if (both := list_or_other(annotation)) is not None:
        return " or ".join(map(expected, both))
    if get_origin(annotation) is Literal:
        options = get_args(annotation)
        return f"one of {', '.join(str(a) for a in options)}" if len(options) > 1 else toml(options[0])
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)
        if inner[-1] is not ...:
            return f"a list of {len(inner)} values"
        return "a list of tables" if is_table(without_none(inner[0])) else "a list"
    if get_origin(annotation) is dict and is_table(get_args(annotation)[1]):
        return "tables by name"
    if is_slot(annotation):
        return f"a table with a type: {', '.join(annotation.tags()) or 'there is no choice yet'}"
    return "a table" if is_table(annotation) else "a value"


def is_slot(annotation: Any) -> bool:
    """Whether a table of this annotation picks its section by `type`."""
    return _is_class(annotation) and issubclass(annotation, Slot) and annotation.is_slot()


def is_table(annotation: Any) -> bool:
    """Whether a value of this annotation is written as a table."""
    return get_origin(annotation) is dict or (_is_class(annotation) and (attrs.has(annotation) or is_slot(annotation)))


def inside(annotation: Any) -> Any:
    """The annotation of one element: `X` of `X | None`, of a list of X, of a table of X by name, of a list or X."""
    annotation = without_none(annotation)
    if (both := list_or_other(annotation)) is not None:
        return both[1]
    if get_origin(annotation) is tuple and get_args(annotation)[-1] is ...:
        return inside(get_args(annotation)[0])
    if get_origin(annotation) is dict:
        return inside(get_args(annotation)[1])
    return annotation


def toml(value: Any) -> str:
    """Plain data as one line of TOML; None as `none`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(v) for v in value)}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }" if value else "{}"
    return str(value)


def _is_class(annotation: Any) -> bool:
    return isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias)
