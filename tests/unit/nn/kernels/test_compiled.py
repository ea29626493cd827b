"""Blocks of every kind, compiled: whole graphs, few of them over lengths, and the values of blocks that are not."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import LabError, RecipeError
from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoder import Targets
from asr_lab.nn.kernels.compiled import compile_blocks, require_compiler
from asr_lab.streaming import Frames

RECIPES = Path(__file__).parents[4] / "recipes"
SMALL = {
    "ssm_tiny": ["encoder.dim=16", "encoder.stack=[{ blocks = ['ssm', 'att'] }]", "encoder.block.ssm.mixer.state_dim=8",
                 "encoder.block.ssm.mixer.head_dim=8"],
    "conformer_tiny": ["encoder.dim=16", "encoder.stack=[{ blocks = ['conf', 'conf'] }]"],
    "whisper_tiny": ["encoder.dim=24", "encoder.stack[1].repeat=2"],
}  # fmt: skip
VOCAB = 16
LENGTHS = (48, 96, 64, 130)


def losses(model: SpeechModel, frames: int, features: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(frames)
    x = torch.randn(2, frames, features, generator=generator)
    lengths, targets = torch.tensor([frames, frames - 9]), Targets(torch.tensor([[3, 4], [5, 5]]), torch.tensor([2, 1]))
    torch.manual_seed(7)
    return model.losses(model.encode(Frames.whole(x, lengths), model.contexts[0][0]), targets).total


@pytest.mark.parametrize("family", SMALL)
def test_no_graph_breaks_few_are_made_and_their_values_are_the_blocks(family: str) -> None:
    recipe = load_recipe(RECIPES / f"{family}.toml", SMALL[family]).value
    plain = seeded_model(recipe, VOCAB).train()
    model = copy.deepcopy(plain)
    torch._dynamo.reset()
    counters.clear()
    num_blocks = compile_blocks(model, backend="eager")  # fullgraph: a break would raise
    assert num_blocks >= 2
    for frames in LENGTHS:
        found, wanted = losses(model, frames, recipe.features.dim), losses(plain, frames, recipe.features.dim)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
        found.sum().backward()
        wanted.sum().backward()
        for (name, one), other in zip(model.named_parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-3, msg=name)
    assert counters["stats"]["unique_graphs"] <= 2 * num_blocks + 4
    with torch.no_grad():
        for one in (model, plain):
            one.eval()
        found, wanted = losses(model, 80, recipe.features.dim), losses(plain, 80, recipe.features.dim)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "override", "says"),
    [
        ("conformer_tiny", 'determinism={level="bitwise"}', 'cannot be true under [determinism] level = "bitwise"'),
        ("ssm_tiny", "seed=1", "cannot be true with encoder.contexts[0], which is a chunk"),
    ],
)
def test_what_cannot_be_compiled_is_refused(family: str, override: str, says: str) -> None:
    with pytest.raises(RecipeError) as found:
        load_recipe(RECIPES / f"{family}.toml", ["kernels.compile=true", override])
    assert says in str(found.value)


def test_a_machine_without_a_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(LabError, match=r"install g\+\+"):
        require_compiler()
