"""What a schema has to say of a place in a recipe: its keys, its choices, their defaults and docs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import attrs

from asr_lab.config.defaults import shortest
from asr_lab.config.docs import summary
from asr_lab.config.fields import Field, docs, fields, is_optional
from asr_lab.config.hints import not_among
from asr_lab.config.section import Slot
from asr_lab.config.words import expected, inside, is_slot, is_table, toml
from asr_lab.errors import LabError


@attrs.frozen
class Entry:
    """One key of a table, or one choice of a slot."""

    name: str
    takes: str
    """What may be written there; empty for a choice."""
    default: str
    """In TOML; `required` where there is none; empty for a choice."""
    doc: str


@attrs.frozen
class Description:
    """One place in a recipe."""

    path: str
    kind: Literal["table", "slot", "key"]
    doc: str
    entries: tuple[Entry, ...]


def describe(schema: type, path: str = "") -> Description:
    """The place at a dotted path of keys and choices: `encoder.stem`, `encoder.stem.depthwise_stride`, `train.batch_s`.

    A path may also begin with a slot's own name (`mixer.mamba2`). LabError names what is there instead.
    """
    annotation: Any = schema
    last: tuple[type, Field] | None = None
    words = [w for w in path.split(".") if w]
    slots = {s.__name__.lower(): s for s in _slots(schema, set())}
    keys = [f.key for f in fields(schema)]
    if words and words[0] not in keys and words[0] in slots:
        annotation = slots[words.pop(0)]
    elif words and words[0] not in keys:
        raise LabError(not_among("table or slot", words[0], [*keys, *sorted(set(slots) - set(keys))]))
    for word in words:
        annotation, last = _enter(inside(annotation), word)
    place = inside(annotation)
    if is_slot(place):
        choices = [Entry(tag, "", "", summary(c)) for tag, c in sorted(place.choices().items())]
        return Description(path, "slot", summary(place), tuple(choices))
    if attrs.has(place):
        by_key = docs(place)
        return Description(path, "table", summary(place), tuple(_entry(f, by_key[f.key]) for f in fields(place)))
    assert last is not None
    entry = _entry(last[1], docs(last[0])[last[1].key])
    return Description(path, "key", entry.doc, (entry,))


def _enter(place: Any, word: str) -> tuple[Any, tuple[type, Field] | None]:
    if is_slot(place):
        if (choice := place.choice(word)) is None:
            raise LabError(not_among(place.__name__, word, place.tags()))
        return choice, None
    known = {f.key: f for f in fields(place)} if attrs.has(place) else {}
    if word not in known:
        raise LabError(not_among("key", word, list(known)))
    return known[word].type, (place, known[word])


def _entry(field: Field, doc: str) -> Entry:
    takes = ", ".join([expected(field.type), *(str(b) for b in field.bounds)])
    if not doc and is_table(inside(field.type)):
        doc = summary(inside(field.type))
    default = "required" if field.required else toml(shortest(field.default_value()))
    return Entry(field.key, f"{takes} or none" if is_optional(field.type) else takes, default, doc)


def _slots(schema: type, seen: set[type]) -> Iterator[type[Slot]]:
    """Every slot that a schema reaches."""
    for field in fields(schema):
        place = inside(field.type)
        if not isinstance(place, type) or place in seen:
            continue
        seen.add(place)
        if issubclass(place, Slot) and place.is_slot():
            yield place
            for choice in place.choices().values():
                yield from _slots(choice, seen)
        elif attrs.has(place):
            yield from _slots(place, seen)
