"""`--set` below a table or list that the recipe leaves at its default builds on that default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from asr_lab.config.fields import fields
from asr_lab.config.load import loads
from asr_lab.config.structure import NONE, unstructure
from asr_lab.config.words import toml
from asr_lab.errors import RecipeError
from asr_lab.recipe import Recipe
from tests.unit.compiler.test_rules import TEXT


def value(*overrides: str) -> Recipe:
    return loads(TEXT, Recipe, overrides=overrides).value


def data(*overrides: str) -> dict[str, Any]:
    return loads(TEXT, Recipe, overrides=overrides).data


def below(section: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each place below a section that stands in the recipe, and the value there."""
    for field in fields(type(section)):
        one = getattr(section, field.name)
        at = f"{path}.{field.key}" if path else field.key
        yield at, one
        if attrs.has(type(one)):
            yield from below(one, at)
        for i, element in enumerate(one if isinstance(one, tuple) else ()):
            yield f"{at}[{i}]", element
            if attrs.has(type(element)):
                yield from below(element, f"{at}[{i}]")


PLACES = {path: one for path, one in below(value(), "") if not path.endswith("id_column")}  # a text: none is a name


@pytest.mark.parametrize("path", sorted(PLACES))
def test_what_is_set_to_what_it_is_changes_nothing(path: str) -> None:
    one = PLACES[path]
    plain = NONE if one is None else unstructure(one)
    assert value(f"{path}={toml(plain)}") == value()


def test_the_default_stands_beside_what_is_set() -> None:
    assert data("optimizer.peak_lr=3e-3")["optimizer"] == {"type": "muon", "peak_lr": 3e-3}
    assert data("schedule.warmup=0.1")["schedule"] == {"type": "cosine", "warmup": 0.1}
    assert data("text.steps[1]=upper")["text"]["steps"] == ["nfc", "upper", "strip_punctuation"]
    assert data("encoder.contexts.0.weight=2")["encoder"]["contexts"] == [{"chunk": "whole", "weight": 2}]
    (group,) = data("optimizer.group[0].lr_scale=0.5")["optimizer"]["group"]
    assert group["weight_decay"] == 0.0
    assert "*.bias" in group["match"]


def test_another_choice_may_be_set_before_and_after() -> None:
    for order in (("optimizer.type=adamw", "optimizer.eps=1"), ("optimizer.peak_lr=1", "optimizer.type=adamw")):
        assert value(*order).optimizer.tag() == "adamw"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.rho=0.9", "optimizer.rho: unknown key (have: weight_decay,"),
        ("augment[0].probability=1", "augment is empty: set the whole list, augment=[…]"),
        ("data.test[2].name=x", "data.test is empty"),
        ("encoder.contexts[1].weight=2", "there is no encoder.contexts[1]: it has 1, from [0] on"),
        ("tokenizer.alphabet[0]=a", "tokenizer.alphabet[0]"),
        ("encoder.sten.factor=8", "did you mean 'stem'"),
        ("optimizer.peak_lr.x=1", "optimizer.peak_lr"),
    ],
)
def test_what_has_no_default_to_build_on_is_told(override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        value(override)
    assert "--set #1" in str(caught.value)
    assert message in str(caught.value)
