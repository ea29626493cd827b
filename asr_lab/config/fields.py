"""The keys of a section: what its class says of each."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from asr_lab.config.docs import field_docs
from asr_lab.config.section import ABSENT, Slot, key_of
from asr_lab.config.validators import Bound, Demand, demands


@attrs.frozen
class Field:
    """One key of a section."""

    key: str
    """As the recipe writes it."""
    name: str
    """As Python writes it: a key that is a keyword has an underscore behind it."""
    type: Any
    """The resolved annotation."""
    required: bool
    default: Any
    """None where required."""
    demands: tuple[Demand, ...]
    """On a value that is not None."""
    absent: Any
    """What the key's absence stands for in what is hashed and stored; attrs.NOTHING for a key always spelled out."""

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The demands that are data."""
        return tuple(d for d in self.demands if isinstance(d, Bound))

    def default_value(self) -> Any:
        """The default itself, made where it is made anew each time."""
        return _made(self.default)

    def absent_value(self) -> Any:
        """The value that the key's absence stands for, or attrs.NOTHING."""
        return _made(self.absent)

    def means_absence(self, value: Any) -> bool:
        """Whether a recipe from before the key means this value."""
        return self.absent is not attrs.NOTHING and bool(value == self.absent_value())

    @property
    def leaves_none_out(self) -> bool:
        """Whether None is written by leaving the key out: it is what absence stands for, then as now."""
        return self.absent is None and self.default is None


@functools.cache
def fields(section: type) -> tuple[Field, ...]:
    """The keys of a section, in the order of its class."""
    found = []
    attributes = attrs.fields(attrs.resolve_types(section))
    for attribute in attributes:
        required = attribute.default is attrs.NOTHING
        found.append(
            Field(
                key=key_of(attribute.name),
                name=attribute.name,
                type=attribute.type,
                required=required,
                default=None if required else _where_nothing_is_written(attribute, attributes),
                demands=tuple(_in_kind(d, attribute.type) for d in demands(attribute.validator)),
                absent=attribute.metadata.get(ABSENT, None if attribute.default is None else attrs.NOTHING),
            )
        )
    return tuple(found)


def _in_kind(demand: Demand, annotation: Any) -> Demand:
    """The demand with its limit as a float where the field is one."""
    if isinstance(demand, Bound) and isinstance(demand.limit, int) and without_none(annotation) is float:
        return Bound(demand.kind, float(demand.limit))
    return demand


def _where_nothing_is_written(attribute: attrs.Attribute[Any], attributes: Iterable[attrs.Attribute[Any]]) -> Any:
    """A field's default; one that depends on other keys, where they are at theirs."""
    default: Any = attribute.default
    if not (isinstance(default, attrs.Factory) and default.takes_self):  # type: ignore[arg-type]
        return default
    return default.factory(types.SimpleNamespace(**{other.name: other.default for other in attributes}))


def _made(value: Any) -> Any:
    return value.factory() if isinstance(value, attrs.Factory) else value  # type: ignore[arg-type]


def docs(section: type) -> dict[str, str]:
    """The docstring of each key of a section."""
    by_name = field_docs(section)
    return {f.key: by_name.get(f.name, "") for f in fields(section)}


def is_optional(annotation: Any) -> bool:
    """Whether an annotation allows None."""
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)


def list_or_other(annotation: Any) -> tuple[Any, Any] | None:
    """The list of `tuple[X, ...] | Y` and what stands in its place: words (`Literal`) or a table with a type (a slot).

    None for any other annotation.
    """
    parts = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()
    lists = [one for one in parts if get_origin(one) is tuple]
    others = [one for one in parts if get_origin(one) is Literal or (isinstance(one, type) and issubclass(one, Slot))]
    return (lists[0], others[0]) if len(parts) == 2 and lists and others else None


def without_none(annotation: Any) -> Any:
    """`X` of `X | None`, and anything else as it is."""
    if not is_optional(annotation):
        return annotation
    (one,) = (a for a in get_args(annotation) if a is not type(None))
    return one


def can_say_none(annotation: Any) -> bool:
    """Whether a recipe may write `"none"` for None, TOML having no null: any optional key that is not text."""
    return is_optional(annotation) and without_none(annotation) is not str
