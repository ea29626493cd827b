"""The JSON Schema, the docs and `describe`: all read off the classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import jsonschema  # type: ignore[import-untyped]
import pytest
import tomli

from asr_lab.config.description import describe
from asr_lab.config.docs import summary
from asr_lab.config.fields import docs, fields, without_none
from asr_lab.config.load import load
from asr_lab.config.schema import json_schema
from asr_lab.config.structure import unstructure
from asr_lab.config.validators import Bound, CheckedBy, demands
from asr_lab.config.words import inside, is_slot, is_table
from asr_lab.errors import LabError
from asr_lab.recipe import Recipe

ROOT = Path(__file__).resolve().parents[3]
RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))
SCHEMA = json_schema(Recipe)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def name_of(schema: object) -> str:
    return f"{schema.__module__}.{getattr(schema, '__name__', '')}"


def sections(schema: type = Recipe, seen: set[type] | None = None) -> set[type]:
    """Every section that a recipe can hold."""
    seen = set() if seen is None else seen
    for field in fields(schema):
        place = inside(field.type)
        for one in place.choices().values() if is_slot(place) else [place]:
            if attrs.has(one) and one not in seen:
                seen.add(one)
                sections(one, seen)
    return seen | {schema}


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_that_is_shipped_is_up_to_date() -> None:
    assert json.loads((ROOT / "recipes" / "recipe.schema.json").read_text()) == SCHEMA, "run `just schema`"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.stem)
def test_a_shipped_recipe_names_the_schema_and_validates(recipe: Path) -> None:
    first, _, text = recipe.read_text(encoding="utf-8").partition("\n")
    named = first.removeprefix("#:schema ").strip()
    assert (recipe.parent / named).resolve() == ROOT / "recipes" / "recipe.schema.json"
    VALIDATOR.validate(tomli.loads(text))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda p: p.stem)
def test_a_resolved_recipe_validates_too(recipe: Path) -> None:
    VALIDATOR.validate(unstructure(load(recipe, Recipe).value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", -1),
        ("seed", 1.5),
        ("sed", 1),
        ("name", "My Recipe"),
        ("decoder", []),
        ("decoder", {"type": "ctc"}),
        ("features", {"type": "log_mell"}),
        ("schedule", {"warmup_steps": 3}),
        ("schedule", {"type": "cosine", "warmup": 3}),
        ("text", {"steps": ["lowercase"]}),
        ("determinism", {"level": "some"}),
        ("optimizer", {"type": "adamw", "betas": [0.9]}),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(path: str, value: Any) -> None:
    data = tomli.loads((ROOT / "recipes" / "conformer_tiny.toml").read_text())
    VALIDATOR.validate(data)
    data[path] = value
    assert not VALIDATOR.is_valid(data)


@pytest.mark.parametrize("schema", sorted(sections(), key=name_of), ids=name_of)
def test_every_section_and_every_key_is_documented(schema: type) -> None:
    assert summary(schema).endswith((".", ":"))
    by_key = docs(schema)
    for field in fields(schema):
        own = inside(field.type)
        assert by_key[field.key] or (is_table(own) and summary(own)), f"{schema.__name__}.{field.key} has no docstring"


@pytest.mark.parametrize("schema", sorted(sections(), key=name_of), ids=name_of)
def test_every_default_is_within_its_bounds(schema: type) -> None:
    for field in fields(schema):
        value = None if field.required else field.default_value()
        assert value is None or all(b.holds(value) for b in field.bounds)


def test_bounds_are_read_off_the_validators() -> None:
    known = {f.key: f.bounds for s in sections() for f in fields(s) if s.__name__ in ("Encoder", "Train", "Recipe")}
    assert [str(b) for b in known["dropout"]] == ["at least 0.0", "below 1.0"]
    assert [str(b) for b in known["average_decay"]] == ["at least 0.0", "below 1.0"]
    assert [str(b) for b in known["stack"]] == ["not empty", "of at most 1000 elements"]
    assert demands(None) == ()


CHECKED_BY = {
    "AdamW.betas",
    "AttentionDecoder.languages",
    "Bandwidth.sample_rates",
    "Chars.alphabet",
    "Init.checkpoint",
    "Fleurs.languages",
    "LibriSpeech.splits",
    "Muon.betas",
    "Score.normalizer",
    "Slurm.sbatch",
    "Slurm.setup",
    "Speed.factors",
    "Tempo.factors",
}
"""Fields of which a function knows what may stand there, so that the schema cannot say it."""


def demanded() -> Iterator[tuple[str, Bound | CheckedBy]]:
    for schema in sections():
        for attribute in attrs.fields(schema):
            known = demands(attribute.validator)
            assert known or attribute.validator is None, f"{schema.__name__}.{attribute.name}: not of config.validators"
            yield from ((f"{schema.__name__}.{attribute.name}", one) for one in known)


def test_what_is_demanded_of_a_field_is_data() -> None:
    assert {name for name, one in demanded() if isinstance(one, CheckedBy)} == CHECKED_BY


def test_the_bounds_of_every_number_are_in_the_schema() -> None:
    keywords = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    counts = dict.fromkeys(keywords, 0)
    for _, one in demanded():
        if isinstance(one, Bound) and one.kind in counts:
            counts[one.kind] += 1
    text = json.dumps(SCHEMA)
    assert {kind: text.count(f'"{keyword}"') for kind, keyword in keywords.items()} == counts


def test_describe_without_a_place_lists_the_tables() -> None:
    found = describe(Recipe)
    assert {e.name for e in found.entries} == {f.key for f in fields(Recipe)}
    assert all(e.doc for e in found.entries)


def test_describe_lists_choices_keys_and_single_keys() -> None:
    stems = describe(Recipe, "encoder.stem")
    assert stems.kind == "slot"
    assert "depthwise_stride" in [e.name for e in stems.entries]
    keys = {e.name: e for e in describe(Recipe, "encoder.stem.depthwise_stride").entries}
    assert keys["channels"].takes == "a whole number, at least 1, at most 65536"
    assert keys["channels"].default == "256"
    (key,) = describe(Recipe, "train.batch_s").entries
    assert (key.takes, key.default) == ("a number, above 0.0, at most 10000000.0", "required")


def test_describe_goes_through_lists_optional_tables_and_slots_in_slots() -> None:
    assert "kernel_frames" in [e.name for e in describe(Recipe, "encoder.block.macaron.conv").entries]
    assert describe(Recipe, "encoder.block.macaron.mixer.mamba2").entries == describe(Recipe, "mixer.mamba2").entries
    assert "from" in [e.name for e in describe(Recipe, "init").entries]
    assert "max_utterances" in [e.name for e in describe(Recipe, "data.train.folder.join").entries]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("encodr", "no table or slot called 'encodr'; did you mean 'encoder'?"),
        ("encoder.stem.depthwise", "no Stem called 'depthwise'"),
        ("encoder.dimm", "no key called 'dimm'; did you mean 'dim'?"),
        ("encoder.dim.x", "no key called 'x' (have: nothing)"),
    ],
)
def test_describe_says_what_is_there_instead(place: str, message: str) -> None:
    with pytest.raises(LabError) as caught:
        describe(Recipe, place)
    assert str(caught.value).startswith(message)


def test_every_number_has_bounds() -> None:
    """Something loops, allocates or overflows by each of them."""
    for section in sections():
        for field in fields(section):
            if without_none(field.type) in (int, float):
                kinds = {bound.kind for bound in field.bounds}
                assert kinds & {"le", "lt"}, f"{name_of(section)}.{field.key} has no upper bound"
                assert kinds & {"ge", "gt"}, f"{name_of(section)}.{field.key} has no lower bound"
