"""What a recipe means at a place that it does not write, as plain data: what `--set` builds on there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

import attrs

from asr_lab.config.fields import fields, without_none
from asr_lab.config.paths import Path
from asr_lab.config.section import Slot
from asr_lab.config.words import inside, is_slot


def default_at(schema: type, data: Mapping[str, Any], path: Path) -> Any:
    """The table or list that the schema puts where the data have none; None where it has none to put.

    A table of a slot holds its `type`, so that other keys can stand beside it; keys at their own defaults are left out.
    """
    annotation: Any = schema
    value: Any = data
    default: Any = None
    for part in path:
        default = None
        if get_origin(without_none(annotation)) in (tuple, dict):
            annotation = get_args(without_none(annotation))[-1 if isinstance(part, str) else 0]
        else:
            known = {f.key: f for f in _keys(annotation, value)}
            if part not in known:
                return None
            annotation = known[str(part)].type
            default = None if known[str(part)].required else known[str(part)].default_value()
        value = _below(value, part)
    plain = shortest(default)
    return plain if isinstance(plain, dict | list) else None


def shortest(value: Any) -> Any:
    """A value as plain data, without the keys of a table that are at their own defaults."""
    if isinstance(value, tuple):
        return [shortest(v) for v in value]
    if not attrs.has(type(value)):
        return value
    section: type = type(value)
    plain = {"type": value.tag()} if isinstance(value, Slot) else {}
    for field in fields(section):
        one = getattr(value, field.name)
        if field.required or one != field.default_value():
            plain[field.key] = shortest(one)
    return plain


def _keys(annotation: Any, value: Any) -> tuple[Any, ...]:
    """The fields of the section that stands here; none where the data do not say which."""
    place = inside(annotation)
    if is_slot(place):
        tag = value.get("type") if isinstance(value, Mapping) else None
        place = place.choice(tag) if isinstance(tag, str) else None
    return fields(place) if isinstance(place, type) and attrs.has(place) else ()


def _below(value: Any, part: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None
