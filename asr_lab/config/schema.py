"""A section as JSON Schema (draft 2020-12), for editors: keys, docs, defaults, bounds, choices."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import attrs

from asr_lab.config.docs import summary
from asr_lab.config.fields import Field, can_say_none, docs, fields, list_or_other, without_none
from asr_lab.config.section import Slot
from asr_lab.config.structure import NONE, unstructure
from asr_lab.config.validators import Bound
from asr_lab.config.words import is_slot

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS: dict[Any, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Any: {},
}
_KEYWORDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_SIZES = {"array": "Items", "object": "Properties", "string": "Length"}


def json_schema(schema: type) -> dict[str, Any]:
    """The JSON Schema of a section and of everything below it."""
    definitions: dict[str, Any] = {}
    root = _section(schema, definitions)
    return {"$schema": DRAFT, "title": schema.__name__, **root, "$defs": dict(sorted(definitions.items()))}


def _section(schema: type, definitions: dict[str, Any]) -> dict[str, Any]:
    choice = issubclass(schema, Slot)
    properties: dict[str, Any] = {}
    if issubclass(schema, Slot):
        properties["type"] = {"const": schema.tag(), "description": summary(schema)}
    by_key = docs(schema)
    for field in fields(schema):
        properties[field.key] = _field(field, by_key[field.key], definitions)
    required = [*(["type"] if choice else []), *(f.key for f in fields(schema) if f.required)]
    return {
        "type": "object",
        "description": summary(schema),
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _field(field: Field, doc: str, definitions: dict[str, Any]) -> dict[str, Any]:
    found = _annotation(without_none(field.type), definitions)
    for bound in field.bounds:
        found = {**found, **_keyword(bound, found.get("type", ""))}
    if can_say_none(field.type):
        found = {"anyOf": [found, {"const": NONE, "description": "As if the key were not there."}]}
    if doc:
        found = {**found, "description": doc}
    default = None if field.required else unstructure(field.default_value())
    return found if default is None else {**found, "default": default}


def _annotation(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if annotation in _SCALARS:
        return dict(_SCALARS[annotation])
    inner = get_args(annotation)
    if (both := list_or_other(annotation)) is not None:
        return {"anyOf": [_annotation(one, definitions) for one in both]}
    if get_origin(annotation) is Literal:
        return {"enum": list(inner)}
    if get_origin(annotation) is tuple and inner[-1] is ...:
        return {"type": "array", "items": _annotation(inner[0], definitions)}
    if get_origin(annotation) is tuple:
        items = [_annotation(a, definitions) for a in inner]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if get_origin(annotation) is dict:
        return {"type": "object", "additionalProperties": _annotation(inner[1], definitions)}
    return _reference(annotation, definitions)


def _reference(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to a slot or section, which is defined once."""
    assert is_slot(annotation) or attrs.has(annotation), f"no JSON Schema for {annotation}"
    module = annotation.__module__.removeprefix("asr_lab.").removeprefix("slots.")
    choice = issubclass(annotation, Slot) and not annotation.is_slot()
    name = module if choice else f"{module}.{annotation.__name__}"
    if name not in definitions:
        definitions[name] = {}  # the place is taken before what is below it refers back to it
        if is_slot(annotation):
            choices = [_reference(c, definitions) for _, c in sorted(annotation.choices().items())]
            definitions[name] = {"description": summary(annotation), **({"oneOf": choices} if choices else {"not": {}})}
        else:
            definitions[name] = _section(annotation, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _keyword(bound: Bound, kind: str) -> dict[str, Any]:
    if bound.kind in _KEYWORDS:
        return {_KEYWORDS[bound.kind]: bound.limit}
    if bound.kind == "pattern":
        return {"pattern": f"^(?:{bound.limit})$"}
    if bound.kind == "among":
        return {"enum": list(bound.limit)}
    if bound.kind == "rising":  # JSON Schema cannot compare two elements of a list
        return {}
    return {f"{bound.kind[:3]}{_SIZES[kind]}": bound.limit}
