"""A model's size by arithmetic is that of the model, and what several numbers come to is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lab.compiler import cost
from asr_lab.compiler.bounds import MAX_PARAMETERS
from asr_lab.compiler.graph import recipe_graph
from asr_lab.compiler.load import load_recipe
from asr_lab.compiler.size import num_parameters
from asr_lab.errors import RecipeError

RECIPES = sorted((Path(__file__).resolve().parents[3] / "recipes").rglob("*.toml"))
TINY = next(path for path in RECIPES if path.stem == "ssm_tiny")


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_parameters_by_arithmetic_are_those_of_the_model(path: Path) -> None:
    recipe = load_recipe(path).value
    assert num_parameters(recipe) == recipe_graph(recipe).parameters


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["encoder.dim=65536"], "encoder.block.ssm: the model would have 748.3 billion parameters, 645.1 billion"),
        (["encoder.stack[0].repeat=1000"], "encoder.stack: must be of at most 1000 layers, is of 4,003"),
        (
            ["encoder.dim=1024", 'decoder=[{type="attention", num_layers=100, expansion=64}]'],
            "decoder[0]: the model would have 14.5 billion parameters, 14.3 billion of them here",
        ),
        (
            ["features.num_mels=1024", "features.window_ms=1000", "features.sample_rate=96000"],
            "features: 1024 mel filters over 131072 points of the spectrum are more than 16,777,216 values",
        ),
        (
            ['encoder.block.up={type="upsample", factor=8}', 'encoder.stack[1].blocks=["ssm", "up"]'],
            "encoder.stack: makes more than 8 frames of one frame of the features",
        ),
        (["optimizer.weight_decay=1e4"], "optimizer.weight_decay: a step would take away"),
        (
            ['optimizer.group=[{match=["*"], lr_scale=10000}]'],
            "optimizer.group[0].lr_scale: peak_lr * lr_scale = 20 must be at most 1",
        ),
    ],
)
def test_what_numbers_come_to_together_is_refused_with_the_figure(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(TINY, overrides)
    assert message in str(caught.value)


def test_a_model_of_the_largest_size_is_explained_without_its_memory() -> None:
    recipe = load_recipe(TINY, ["encoder.dim=4096", 'tokenizer={type="bpe", vocab_size=1000000}']).value
    found = recipe_graph(recipe)
    assert 10 * found.parameters > MAX_PARAMETERS
    assert found.parameters == num_parameters(recipe)


@pytest.mark.parametrize("name", ["ssm_tiny", "hybrid", "speech_fast_conformer", "whisper_tiny"])
def test_a_cost_is_the_same_where_it_is_not_counted_on_real_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(TINY.with_name(f"{name}.toml")).value
    real = recipe_graph(recipe)
    monkeypatch.setattr(cost, "MAX_MACS", 0)
    meta = recipe_graph(recipe)
    assert [node.shape for node in meta.nodes] == [node.shape for node in real.nodes]
    # A stem's blocks overlap on a processor: they count 0.4 per mille more.
    assert meta.macs_per_s == pytest.approx(real.macs_per_s, rel=1e-3)
