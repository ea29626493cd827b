"""A streaming recipe trained in each number format: its streams are of 32 bits, and obey the law in what it rounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import asr_lab
from asr_lab.commands.load import TrainedModel
from asr_lab.compiler.load import load_recipe
from asr_lab.evaluation.streaming.proof import Subject, Utterances, prove
from asr_lab.nn.low_precision.emulated import Emulated
from asr_lab.number_formats import Asked, mixes_rows
from asr_lab.runs.directory import runs_root
from asr_lab.runs.dispatch import prepare, write_request
from asr_lab.runs.job import entry
from asr_lab.streaming import Context, Frames
from asr_lab.training.precision import get_precision_manager

HOP = 320
"""Samples of a frame of the encoder: 10 ms at 8 kHz, four times."""
CHUNKED = [("320 ms", Context(8 * HOP, 16 * HOP))]
FORMATS = {
    "bf16": Asked("bf16"),
    "rowwise fp8": Asked("fp8", emulate=True),
    "tensorwise fp8": Asked("fp8", emulate=True, scaling="tensorwise"),
    "delayed fp8": Asked("fp8", emulate=True, scaling="delayed"),
    "mxfp8": Asked("mxfp8", emulate=True),
    "mxfp4": Asked("mxfp4", emulate=True),
    "nvfp4": Asked("nvfp4", emulate=True),
}
IN_THE_GATE = ("bf16", "rowwise fp8")


def trained_in(asked: Asked, path: Path) -> TrainedModel:
    overrides = [f"precision.type={asked.format}", "encoder.dim=32", "train.max_steps=4"]
    overrides += ["precision.emulate=true"] * asked.emulate
    overrides += [f"precision.scaling={asked.scaling}"] * (asked.format == "fp8")
    overrides += ["decode.precision=same"] * (not mixes_rows(asked))
    document = load_recipe(path, overrides)
    found = prepare(document, runs_root())
    write_request(found, document, False)
    assert entry.main(str(found.run.path)) == 0
    return asr_lab.load(found.run.path, device="cpu")


def spoken() -> Utterances:
    lengths = torch.tensor([8000, 5300, 2700])
    audio = 0.1 * torch.randn(3, 8000, generator=torch.Generator().manual_seed(2))
    return Utterances(("a", "b", "c"), Frames.whole(audio, lengths))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in IN_THE_GATE else pytest.mark.prove) for n in FORMATS]
)
def test_a_model_streams_in_32_bits_whatever_it_was_trained_in(
    name: str, recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = FORMATS[name]
    trained = trained_in(asked, recipe())
    model = trained.loaded.model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    checks = list(prove(subject_of(trained), CHUNKED, spoken(), seed=3))
    assert {check.dtype for check in checks} == {"float64", "float32"}
    assert [problem for check in checks for problem in check.problems] == []

    # A live stream rounds nothing, not even where recordings are decoded as it was trained.
    dtypes: list[torch.dtype] = []
    rounded: list[str] = []
    for layer in model.encoder.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(lambda _, __, out: dtypes.append(out.dtype))
    product = Emulated.__call__

    def counted(self: Emulated, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        rounded.append(type(self.scheme).__name__)
        return product(self, x, weight)

    monkeypatch.setattr(Emulated, "__call__", counted)
    audio = spoken().audio.x[0].numpy()
    stream = trained.stream(8000)
    stream.push(audio)
    stream.finish()
    assert set(dtypes) == {torch.float32}
    assert rounded == []
    dtypes.clear()
    trained.transcribe(audio, 8000, words=False)
    is_same = not mixes_rows(asked)
    assert (set(dtypes) == {torch.bfloat16}) == is_same
    assert bool(rounded) == (is_same and asked.emulate)

    if is_same and asked.emulate:
        # Rounded as in training, it would stream what it computes offline too; in float64, where no last bit flips.
        precision = get_precision_manager(asked.format, True)
        precision.convert(model)
        with precision.rounding():
            in_float64 = [c for c in prove(subject_of(trained), CHUNKED, spoken(), seed=4) if c.dtype == "float64"]
        assert len(in_float64) == 2
        assert [problem for check in in_float64 for problem in check.problems] == []


def subject_of(trained: TrainedModel) -> Subject:
    return Subject.of(trained.loaded.model, trained.loaded.features, ("stem", "layer 1, conf"))
