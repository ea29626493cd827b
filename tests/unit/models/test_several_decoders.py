"""CTC after several layers: each is trained, the deepest is used, wherever it stands in the recipe."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoder import DecoderHead, SearchOptions, Targets
from asr_lab.recognition.alignment import ctc_reading
from asr_lab.streaming import Frames

RECIPES = Path(__file__).resolve().parents[3] / "recipes"
LAST, LOWER = '{ type = "ctc" }', '{ type = "ctc", tap = 1, weight = 0.5 }'


def model_of(*decoders: str) -> SpeechModel:
    small = ("encoder.dim=16", "encoder.stem.channels=8", "encoder.stack[0].repeat=2")
    recipe = load_recipe(RECIPES / "conformer_tiny.toml", [*small, f"decoder=[{', '.join(decoders)}]"]).value
    return seeded_model(recipe, 12).eval()


@pytest.mark.parametrize("decoders", [(LAST, LOWER), (LOWER, LAST)])
def test_each_is_trained_and_the_deepest_is_used(decoders: tuple[str, str]) -> None:
    model = model_of(*decoders)
    frames = Frames.whole(torch.randn(2, 64, 80))
    losses = model(frames, Targets(torch.tensor([[3, 4], [5, 6]]), torch.tensor([2, 2])))
    assert set(losses.parts) == {"ctc", "ctc_after_layer_1"}
    mixed = (losses.parts["ctc"] + 0.5 * losses.parts["ctc_after_layer_1"]) / 1.5
    assert torch.allclose(losses.total, mixed)
    index = decoders.index(LAST)
    reading = ctc_reading(model, Fraction(10))
    assert reading is not None
    assert reading.place == index
    head = model.heads[index]
    assert isinstance(head, DecoderHead)
    alone = head.search(model.encode(frames)[index], SearchOptions())
    assert [h[0].tokens for h in model.search(frames)] == [h[0].tokens for h in alone]
