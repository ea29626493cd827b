"""Every shipped recipe, on meta: its problems, its size, its schema, and the family that it belongs to."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
import tomli
import torch

from asr_lab.compiler.graph import Graph, graph, recipe_graph
from asr_lab.compiler.load import load_recipe
from asr_lab.families.conformer import ConformerASRModel, ConformerConfig
from asr_lab.families.family import FamilyConfig, FamilyModel
from asr_lab.families.ssm import SSMASRModel, SSMConfig
from asr_lab.families.whisper import WhisperASRModel, WhisperConfig
from asr_lab.recipe import Recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SHIPPED = sorted(RECIPES.glob("*.toml"))
MILLIONS = {
    "ssm_tiny": 5,
    "ssm_base": 19,
    "ssm_a100": 50,
    "ssm_b200": 150,
    "whisper_tiny": 5,
    "whisper_base": 19,
    "whisper_small": 50,
    "whisper_large": 100,
    "conformer_tiny": 5,
    "conformer_base": 19,
    "conformer_fast": 19,
    "conformer_large": 100,
}
FAMILIES: dict[str, tuple[Callable[[int], FamilyConfig], type[FamilyModel]]] = {
    "ssm_tiny": (SSMConfig.tiny, SSMASRModel),
    "ssm_base": (SSMConfig.base, SSMASRModel),
    "ssm_a100": (SSMConfig.a100_optimized, SSMASRModel),
    "ssm_b200": (SSMConfig.b200_optimized, SSMASRModel),
    "whisper_tiny": (WhisperConfig.tiny, WhisperASRModel),
    "whisper_base": (WhisperConfig.base, WhisperASRModel),
    "whisper_small": (WhisperConfig.small, WhisperASRModel),
    "whisper_large": (WhisperConfig.large, WhisperASRModel),
    "conformer_tiny": (ConformerConfig.tiny, ConformerASRModel),
    "conformer_base": (ConformerConfig.base, ConformerASRModel),
    "conformer_fast": (ConformerConfig.fast_conformer, ConformerASRModel),
    "conformer_large": (ConformerConfig.large, ConformerASRModel),
}


@functools.cache
def recipe_of(path: Path) -> Recipe:
    return load_recipe(path).value


@functools.cache
def graph_of(path: Path) -> Graph:
    return recipe_graph(recipe_of(path))


every_recipe = pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
every_size = pytest.mark.parametrize("name", FAMILIES)


@every_recipe
def test_a_shipped_recipe_compiles_on_meta(path: Path) -> None:
    found, recipe = graph_of(path), recipe_of(path)
    names = [node.name for node in found.nodes]
    layers = [f"layers.{i}" for i in range(len(recipe.encoder.layer_names))]
    assert names == ["features", "stem", *layers, *(f"decoder.{d.tag()}" for d in recipe.decoder)]
    assert found.parameters > 0
    assert recipe.name == path.stem


@every_recipe
def test_its_first_line_names_a_schema_that_it_fits(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith("#:schema ")
    schema = json.loads((path.parent / first.removeprefix("#:schema ")).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(tomli.loads(path.read_text()))


def test_the_schema_beside_the_recipes_is_the_one_that_the_command_prints() -> None:
    from asr_lab.config.schema import json_schema

    assert json.loads((RECIPES / "recipe.schema.json").read_text()) == json_schema(Recipe)


@every_size
def test_a_size_has_the_parameters_it_is_named_for(name: str) -> None:
    assert graph_of(RECIPES / f"{name}.toml").parameters == pytest.approx(MILLIONS[name] * 1e6, rel=0.05)


@every_size
def test_a_family_at_the_recipes_vocabulary_is_the_recipes_graph(name: str) -> None:
    path = RECIPES / f"{name}.toml"
    recipe, configuration = recipe_of(path), FAMILIES[name][0]
    config = configuration(recipe.tokenizer.size)
    assert config.vocab_size == recipe.tokenizer.size
    assert (config.features, config.encoder, config.decoder) == (recipe.features, recipe.encoder, recipe.decoder)
    assert graph(config.features, config.encoder, config.decoder, config.vocab_size) == graph_of(path)


@every_size
def test_a_familys_model_has_the_parameters_of_the_graph(name: str) -> None:
    path = RECIPES / f"{name}.toml"
    configuration, model = FAMILIES[name]
    with torch.device("meta"):
        built = model(configuration(recipe_of(path).tokenizer.size))
    assert sum(p.numel() for p in built.parameters()) == graph_of(path).parameters


def test_the_hybrid_mixes_blocks_of_all_three_families() -> None:
    kinds = {node.kind for node in graph_of(RECIPES / "hybrid.toml").nodes}
    assert {"macaron/mamba2", "macaron/attention", "transformer/attention"} <= kinds
