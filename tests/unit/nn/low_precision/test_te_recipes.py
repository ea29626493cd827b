"""Which of TransformerEngine's recipes each line of `[precision]` asks for; its kernels need a GPU (`tests/gpu`)."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import get_args

import pytest
from torch import Tensor, nn

from asr_lab.nn.low_precision import te_products
from asr_lab.number_formats import LOW_PRECISIONS, Asked, Scaling, impossible, tile
from asr_lab.training.precision.products import products

RECIPES = {
    Asked("fp8", False, "transformer-engine", "delayed"): "DelayedScaling",
    Asked("fp8", False, "transformer-engine", "tensorwise"): "Float8CurrentScaling",
    Asked("mxfp8", False, "transformer-engine"): "MXFP8BlockScaling",
    Asked("nvfp4", False, "transformer-engine"): "NVFP4BlockScaling",
}
"""The names that TransformerEngine 2.20 gives its recipes, which are made without arguments."""


@pytest.fixture
def names_of_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that hold the recipes' names and nothing that computes."""
    recipe = ModuleType("transformer_engine.common.recipe")
    for name in RECIPES.values():
        setattr(recipe, name, type(name, (), {}))
    for name in ("transformer_engine", "transformer_engine.common", "transformer_engine.pytorch"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["transformer_engine.common"], "recipe", recipe, raising=False)
    monkeypatch.setattr(
        sys.modules["transformer_engine"], "pytorch", sys.modules["transformer_engine.pytorch"], raising=False
    )
    monkeypatch.setitem(sys.modules, "transformer_engine.common.recipe", recipe)


@pytest.mark.usefixtures("names_of_recipes")
@pytest.mark.parametrize("asked", RECIPES, ids=str)
def test_a_line_of_precision_asks_for_its_recipe(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[tuple[Tensor, te_products.TERecipe]] = []
    monkeypatch.setattr(te_products, "TransformerEngineProduct", lambda *given: chosen.append(given))
    size, product = products(asked)
    linear = nn.Linear(64, 64)
    product(linear)
    ((weight, recipe),) = chosen
    assert weight is linear.weight
    assert type(te_products._recipe(recipe)).__name__ == RECIPES[asked]
    assert size == tile(asked)
    assert te_products.ROWS[recipe] % size == 0


def test_every_line_that_transformer_engine_computes_has_a_recipe() -> None:
    asked = {
        Asked(name, False, "transformer-engine", scaling if name == "fp8" else "rowwise")
        for name in LOW_PRECISIONS
        for scaling in get_args(Scaling)
    }
    assert {one for one in asked if impossible(one) is None} == set(RECIPES)
    assert set(te_products.ROWS) == set(get_args(te_products.TERecipe))
