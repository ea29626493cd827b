"""The losses that validation takes beside its texts: those of the model, of what can be spelled and aligned."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.data.batch import BatchRow, stack
from asr_lab.data.batch_features import batch_features
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.nn.decoder import Targets
from asr_lab.recognition.transcribe_set import transcribe_set

RECIPES = Path(__file__).resolve().parents[3] / "recipes"
SPELLED = {"ab": (3, 4), "ba": (4, 3), "?": (), "too long": (3, 4) * 200}
CTC, HYBRID = "[{ type = 'ctc' }]", "[{ type = 'ctc' }, { type = 'attention', num_heads = 2, num_layers = 1 }]"


@pytest.mark.parametrize("decoders", [CTC, HYBRID])
def test_a_transcript_has_the_models_loss_where_it_can_have_one(decoders: str) -> None:
    small = ["encoder.dim=16", "encoder.stem.channels=8", "encoder.stack[0].repeat=1", f"decoder={decoders}"]
    recipe = load_recipe(RECIPES / "conformer_tiny.toml", small).value
    model, features = seeded_model(recipe, 12).eval(), recipe.features.build()
    draw = np.random.default_rng(0)
    rows = [
        BatchRow(draw.normal(size=size).astype(np.float32), (), text, 0, text)
        for size, text in ((9000, "?"), (8000, "ab"), (7000, "too long"), (6000, "ba"))
    ]
    batch = stack(rows, []).batch()
    utterances = [SimpleNamespace(id=r.id, text=r.text, columns={}, duration_s=1.0, audio="") for r in rows]
    data: Any = SimpleNamespace(
        name="x", utterances=utterances, batches=lambda rank, size: iter([batch]), failed=(), take_failed=list
    )
    vocabulary: Any = SimpleNamespace(decode=lambda tokens: "")
    asked = []

    def spell(text: str, num_samples: int) -> tuple[int, ...]:
        asked.append((text, num_samples))
        return SPELLED[text]

    given = transcribe_set(model, features, vocabulary, data, DecodeOptions(decoder="ctc"), spell=spell)
    found = {one.id: one.loss for one in given}
    assert [id for id, loss in found.items() if loss is None] == ["?", "too long"]
    with torch.no_grad():
        frames = batch_features(features, batch, "cpu").rows(torch.tensor([1, 3]))
        expected = model(frames, Targets.of([SPELLED["ab"], SPELLED["ba"]], "cpu")).total
    assert [found["ab"], found["ba"]] == pytest.approx(expected.tolist(), rel=1e-5)
    assert asked == [(r.text, len(r.audio)) for r in rows]
    silent = transcribe_set(model, features, vocabulary, data, DecodeOptions(decoder="ctc"))
    assert [one.loss for one in silent] == [None] * 4
