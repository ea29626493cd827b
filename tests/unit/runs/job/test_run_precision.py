"""A run in low precision, from its recipe to its scores: what it writes down, and what it is decoded in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab.commands.evaluate import evaluate_run
from asr_lab.compiler.build import decode_precision, seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import LabError
from asr_lab.evaluation.hypotheses import read_hypotheses
from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.runs.dispatch import prepare, write_request
from asr_lab.runs.job import entry
from asr_lab.runs.provenance import read_provenance
from asr_lab.training.precision import PrecisionManager

FP8 = ("precision.type=fp8", "precision.emulate=true")


def run_of(path: Path, *overrides: str) -> RunDirectory:
    document = load_recipe(path, overrides)
    found = prepare(document, runs_root())
    write_request(found, document, False)
    return found.run


def test_a_run_writes_what_it_is_trained_in_and_decodes_as_told(
    recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(recipe(), *FP8, "train.max_steps=4", "decode.precision=same")
    regions: list[str] = []
    entered = PrecisionManager.autocast

    def autocast(self: PrecisionManager, device: object = None) -> object:
        regions.append(self.name)
        return entered(self, device)  # type: ignore[arg-type]

    monkeypatch.setattr(PrecisionManager, "autocast", autocast)
    assert entry.main(str(run.path)) == 0
    assert set(regions) == {"fp8", "fp32"}  # training and the test set; validation
    assert regions[-1] == "fp8"
    table = run.precision_file.read_text().splitlines()
    assert table[0].startswith("fp8 in 9 of ")
    assert any(line.endswith("encoder.layers.1.mixer.out") and "  fp8  " in line for line in table)
    record = read_provenance(run)[-1]["precision"]
    assert (record["type"], record["float32_matmul"], record["cudnn_tf32"]) == ("fp8", "highest", False)
    texts = {}
    for wanted in ("fp32", "bf16", "same"):
        regions.clear()
        found = evaluate_run(run, "best", (), [f"decode.precision={wanted}"], "cpu", False)
        assert set(regions) == {wanted.replace("same", "fp8")}
        assert found is not None
        assert found.path is not None
        assert found.evaluation.about["decode"]["precision"] == wanted
        texts[wanted] = [r["hypothesis"] for r in read_hypotheses(found.path.with_suffix(".jsonl"))]
    assert texts["same"] == [r["hypothesis"] for r in read_hypotheses(run.eval / "test.jsonl")]


@pytest.mark.parametrize("backend", ["torchao", "transformer-engine"])
def test_a_run_that_this_machine_cannot_train_ends_with_the_way_out(recipe: Callable[..., Path], backend: str) -> None:
    # Whether the package is installed or not: the GPU is lacking first.
    run = run_of(recipe(), "precision.type=mxfp8", f"precision.backend={backend}", "encoder.dim=32")
    with pytest.raises(
        LabError, match=r"^precision\.type: mxfp8 needs a GPU, and this machine has none: --set precision\.type=bf16 or"
    ):
        entry.main(str(run.path))
    assert not run.metrics_file.exists()


def test_a_model_that_this_machine_cannot_decode_in_its_format_is_decoded_in_another(
    recipe: Callable[..., Path],
) -> None:
    document = load_recipe(recipe(), ["precision.type=fp8", "decode.precision=same"])
    model = seeded_model(document.value, 32)
    with pytest.raises(
        LabError,
        match=r"^decode\.precision: fp8 needs a GPU, and this machine has none: --set decode\.precision=fp32$",
    ):
        decode_precision(document.value, model, "cpu")
    assert decode_precision(load_recipe(recipe(), ["precision.type=fp8"]).value, model, "cpu").name == "fp32"
