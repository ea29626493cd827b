"""What a run's precision is: which layers it converts, what it carries, and that a run goes on with the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_lab.errors import LabError
from asr_lab.nn.low_precision.linear import LowPrecisionLinear
from asr_lab.number_formats import FORMATS, LOW_PRECISIONS
from asr_lab.training.precision import PrecisionManager, get_precision_manager, set_products
from asr_lab.training.precision.table import precision_table

DIM = 32
EVERY = [(name, "rowwise") for name in FORMATS] + [("fp8", "tensorwise"), ("fp8", "delayed")]


def manager(name: str, scaling: Any = "rowwise") -> PrecisionManager:
    return get_precision_manager(name, name in LOW_PRECISIONS, scaling=scaling)


def run(learner: Any, steps: int | None = None) -> list[float]:
    losses = []
    for report in learner.steps():
        losses.append(report.loss)
        if report.step == steps:
            break
    return losses


@pytest.mark.parametrize(("name", "scaling"), EVERY)
def test_a_run_that_is_stopped_half_way_ends_with_the_same_bits_after_40_steps(
    lab: Any, tmp_path: Path, name: str, scaling: str
) -> None:
    whole, first, second = (lab.learner(precision=manager(name, scaling), dim=DIM, max_steps=40) for _ in range(3))
    losses = run(whole)
    assert losses[-1] < losses[0]
    head = run(first, 20)
    first.save(tmp_path / "saved")
    torch.manual_seed(12345)  # what others drew in between does not matter
    second.load(tmp_path / "saved")
    assert second.fingerprint() == first.fingerprint()
    assert head + run(second) == losses
    assert second.fingerprint() == whole.fingerprint()
    assert (tmp_path / "saved" / "precision.safetensors").exists() == (scaling == "delayed")


def test_each_precision_trains_in_a_way_of_its_own(lab: Any) -> None:
    prints = {(n, s): tuple(run(lab.learner(precision=manager(n, s), dim=DIM, max_steps=6))) for n, s in EVERY}
    # Both scale E4M3 by powers of two, over a row and over 32 of it: they differ in what underflows alone.
    assert prints.pop(("mxfp8", "rowwise")) == pytest.approx(prints["fp8", "rowwise"], rel=1e-3)
    assert len(set(prints.values())) == len(EVERY) - 1


def test_delayed_scales_that_a_checkpoint_lacks_are_missed(lab: Any, tmp_path: Path) -> None:
    from asr_lab.errors import CheckpointError

    lab.learner(precision=manager("fp8"), dim=DIM).save(tmp_path / "saved")
    with pytest.raises(CheckpointError, match=r"encoder\.layers\.1\.linear\.x\.history: not in the checkpoint"):
        lab.learner(precision=manager("fp8", "delayed"), dim=DIM).load(tmp_path / "saved")


def test_first_and_last_layers_and_dims_that_do_not_tile_stay_high(lab: Any) -> None:
    model = lab.model(dim=DIM)
    rows = {row.name: row.kept_because for row in manager("mxfp8").convert(model)}
    assert rows == {
        "encoder.layers.0.linear": "first layers",
        "encoder.layers.1.linear": "",
        "heads.0.output": "last layer",
    }
    found = [name for name, layer in model.named_modules() if isinstance(layer, LowPrecisionLinear)]
    assert found == ["encoder.layers.1.linear"]
    with pytest.raises(LabError, match=r"no layer would compute in mxfp8: .* multiples of 32"):
        manager("mxfp8").convert(lab.model(dim=16))


def test_the_table_says_what_is_converted_and_why_not(lab: Any) -> None:
    rows = manager("fp8").convert(lab.model(dim=DIM))
    assert precision_table("fp8", rows).splitlines() == [
        "fp8 in 1 of 3 linear layers, which have 65.3 % of the weights of all of them;",
        "other products and convolutions in bf16, norms, softmax, losses and state-space parameters in 32 bits",
        " inputs outputs  format",
        "     10      32  bf16   encoder.layers.0.linear  first layers",
        "     32      32  fp8    encoder.layers.1.linear",
        "     32       7  bf16   heads.0.output           last layer",
    ]
    assert precision_table("bf16", manager("bf16").convert(lab.model())) == ""


def test_evaluating_between_steps_rounds_nothing_and_changes_nothing(lab: Any) -> None:
    quiet, busy = (lab.learner(precision=manager("fp8", "delayed"), dim=DIM) for _ in range(2))
    run(quiet)
    plain, x = lab.model(dim=DIM).encoder.layers[1].linear, torch.randn(5, DIM)
    for _ in busy.steps():
        averaged = busy.averaged().encoder.layers[1].linear
        plain.load_state_dict(averaged.state_dict())
        assert torch.equal(averaged(x), plain(x))
    assert busy.fingerprint() == quiet.fingerprint()


@pytest.fixture
def settings_as_before() -> Iterator[None]:
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    sums = cuda.allow_bf16_reduced_precision_reduction, cuda.allow_fp16_reduced_precision_reduction
    yield
    torch.set_float32_matmul_precision(before[0])
    cudnn.allow_tf32 = before[1]
    cuda.allow_bf16_reduced_precision_reduction, cuda.allow_fp16_reduced_precision_reduction = sums


@pytest.mark.usefixtures("settings_as_before")
def test_what_others_set_of_products_is_set_back_and_is_what_a_run_records() -> None:
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    keys = ("float32_matmul", "cudnn_tf32", "reduced_precision_sums")
    plain = get_precision_manager("fp32")
    torch.set_float32_matmul_precision("medium")
    cudnn.allow_tf32 = True
    cuda.allow_bf16_reduced_precision_reduction = False
    cuda.allow_fp16_reduced_precision_reduction = True
    assert [plain.products()[key] for key in keys] == ["medium", True, True]
    set_products()
    assert [plain.products()[key] for key in keys] == ["highest", False, False]
    assert (cuda.allow_tf32, cuda.allow_fp16_reduced_precision_reduction) == (False, False)


@pytest.mark.usefixtures("settings_as_before")
def test_tf32_is_allowed_where_it_was_asked_for_and_while_training_alone() -> None:
    set_products()
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    plain, fast = get_precision_manager("fp32"), get_precision_manager("fp32", allow_tf32=True)
    seen = []
    for one in (plain, fast):
        for region in (one.autocast("cpu"), one.rounding()):
            with region:
                seen.append((cuda.allow_tf32, cudnn.allow_tf32))
    assert seen == [(False, False)] * 2 + [(True, True)] * 2
    assert (cuda.allow_tf32, cudnn.allow_tf32) == (False, False)
    assert plain.products()["cudnn_tf32"] is False
    assert fast.products() == {
        "type": "fp32",
        "tf32": True,
        "float32_matmul": "highest",
        "cudnn_tf32": True,
        "cudnn_deterministic": cudnn.deterministic,
        "cudnn_benchmark": cudnn.benchmark,
        "reduced_precision_sums": False,
    }


@pytest.mark.parametrize("name", ["fp8", "mxfp8", "nvfp4"])
def test_a_machine_that_cannot_is_told_so_and_nothing_else_is_done(name: str) -> None:
    torchao = pytest.importorskip("torchao")
    assert torchao is not None
    with pytest.raises(LabError, match=f"{name} needs a GPU, and this machine has none: --set precision.type=bf16"):
        get_precision_manager(name).require(torch.device("cpu"))
    manager(name).require(torch.device("cpu"))
