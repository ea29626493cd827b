"""Each number format on each kind of machine: what is said, and the way out."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch

from asr_lab.compiler import number_formats as rules
from asr_lab.compiler.notes import notes
from asr_lab.compiler.rules import problems
from asr_lab.config.load import Document, loads
from asr_lab.errors import LabError, MissingPackageError
from asr_lab.number_formats import (
    FORMATS,
    LOW_PRECISIONS,
    Asked,
    Backend,
    Gpu,
    Scaling,
    impossible,
    tile,
    unavailable,
)
from asr_lab.recipe import Recipe
from asr_lab.training.precision import get_precision_manager, manager, require_machine

GPUS = {
    "CPU": None,
    "sm_70": Gpu("V100", (7, 0)),
    "sm_75": Gpu("T4", (7, 5)),
    "sm_80": Gpu("A100", (8, 0)),
    "sm_89": Gpu("L40S", (8, 9)),
    "sm_90": Gpu("H100", (9, 0)),
    "sm_100": Gpu("B200", (10, 0)),
    "sm_120": Gpu("RTX 5090", (12, 0)),
}
OLD, FP16, NO_GPU = "torch", "fp16", "no GPU"
AT_8_9, AT_9, AT_10, ONLY_10 = "8.9", "9.0", "10.0", "10.0 and below 11.0"
TE: Backend = "transformer-engine"
ON: dict[Asked, tuple[str, ...]] = {
    # what is asked:       CPU     sm_70 sm_75  sm_80    sm_89    sm_90    sm_100 sm_120
    Asked("fp32"): ("", OLD, "", "", "", "", "", ""),
    Asked("fp16"): ("", OLD, "", "", "", "", "", ""),
    Asked("bf16"): ("", OLD, FP16, "", "", "", "", ""),
    Asked("fp8"): (NO_GPU, OLD, AT_9, AT_9, AT_9, "", "", ""),
    Asked("fp8", scaling="tensorwise"): (NO_GPU, OLD, AT_8_9, AT_8_9, "", "", "", ""),
    Asked("fp8", False, TE, "tensorwise"): (NO_GPU, OLD, AT_8_9, AT_8_9, "", "", "", ""),
    Asked("fp8", False, TE, "delayed"): (NO_GPU, OLD, AT_8_9, AT_8_9, "", "", "", ""),
    Asked("mxfp8"): (NO_GPU, OLD, ONLY_10, ONLY_10, ONLY_10, ONLY_10, "", ONLY_10),
    Asked("mxfp8", False, TE): (NO_GPU, OLD, ONLY_10, ONLY_10, ONLY_10, ONLY_10, "", ONLY_10),
    Asked("nvfp4"): (NO_GPU, OLD, ONLY_10, ONLY_10, ONLY_10, ONLY_10, "", ONLY_10),
    Asked("nvfp4", False, TE): (NO_GPU, OLD, AT_10, AT_10, AT_10, AT_10, "", ""),
    **{Asked(name, emulate=True): ("", OLD, FP16, "", "", "", "", "") for name in LOW_PRECISIONS},
    Asked("fp8", True, scaling="tensorwise"): ("", OLD, FP16, "", "", "", "", ""),
    Asked("fp8", True, scaling="delayed"): ("", OLD, FP16, "", "", "", "", ""),
}
"""What a machine lacks for each thing that can be asked for, its package installed; "" = nothing."""
OUT = "--set precision.type=bf16 or --set precision.emulate=true"
INSTALLED_BY = {
    "torchao": "uv sync --extra torchao",
    "transformer-engine": "uv sync --extra transformer-engine, which needs nvcc",
}


def wanted(asked: Asked, gpu: str, has_it: bool) -> str | None:
    """The whole message, by the table; what the machine lacks comes before what is not installed."""
    lack, machine = ON[asked][list(GPUS).index(gpu)], GPUS[gpu]
    named = f"{asked.scaling} fp8" if asked.format == "fp8" else asked.format
    if lack == OLD:
        return (
            f"this build of torch has no kernels for {machine}; PyTorch's build for CUDA 12.6 has: "
            "install torch from its index cu126, or set CUDA_VISIBLE_DEVICES= to compute on the CPU"
        )
    if lack == FP16:
        return f"bfloat16 needs compute capability 8.0, and this is {machine}: --set precision.type=fp16"
    if lack == NO_GPU:
        return f"{asked.format} needs a GPU, and this machine has none: {OUT}"
    if lack:
        return f"{named} needs compute capability {lack}, and this is {machine}: {OUT}"
    if has_it or asked.emulate or asked.format not in LOW_PRECISIONS:
        return None
    return f"{named} needs {asked.backend}, which is not installed: {INSTALLED_BY[asked.backend]}, or {OUT}"


def test_the_table_has_every_format_and_every_way_to_compute_it() -> None:
    ways = itertools.product(LOW_PRECISIONS, (False, True), get_args(Backend), get_args(Scaling))
    # Backends count beside hardware alone, and scalings with fp8 alone.
    asked = {
        Asked(name, emulate, "torchao" if emulate else backend, scaling if name == "fp8" else "rowwise")
        for name, emulate, backend, scaling in ways
    }
    asked |= {Asked(name) for name in FORMATS if name not in LOW_PRECISIONS}
    assert {one for one in asked if impossible(one) is None} == set(ON)


@pytest.mark.parametrize("has_it", [True, False], ids=["installed", "absent"])
@pytest.mark.parametrize(("asked", "gpu"), list(itertools.product(ON, GPUS)), ids=str)
def test_a_format_says_what_it_lacks(asked: Asked, gpu: str, has_it: bool) -> None:
    assert unavailable(asked, GPUS[gpu], lambda _: has_it) == wanted(asked, gpu, has_it)
    # A trained model is not trained anew for the machine that decodes it.
    found = unavailable(asked, GPUS[gpu], lambda _: has_it, decoding=True)
    assert (found is None) == (wanted(asked, gpu, has_it) is None)
    assert found is None or "precision.type" not in found
    assert found is None or found.endswith(("--set decode.precision=fp32", "to compute on the CPU"))


def test_what_no_package_has_is_refused_with_the_line_to_write() -> None:
    assert impossible(Asked("mxfp4")) == (
        "type",
        'no package trains MXFP4 on hardware: write emulate = true, which is slow, or type = "nvfp4"',
    )
    key, said = impossible(Asked("fp8", scaling="delayed")) or ("", "")
    assert key == "scaling"
    assert 'backend = "transformer-engine"' in said
    key, said = impossible(Asked("fp8", False, "transformer-engine")) or ("", "")
    assert key == "scaling"
    assert 'scaling = "delayed" or "tensorwise"' in said
    for asked in ON:
        assert impossible(asked) is None, asked


def test_every_format_is_a_choice_of_the_slot() -> None:
    folder = Path(__file__).resolve().parents[2] / "asr_lab" / "slots" / "precision"
    assert {p.stem for p in folder.glob("*.py")} - {"__init__"} == set(FORMATS)


def test_dims_are_tiled_by_what_the_format_scales() -> None:
    sizes = {name: tile(Asked(name, emulate=True)) for name in FORMATS}
    assert sizes == {"fp32": 1, "bf16": 1, "fp16": 1, "fp8": 16, "mxfp8": 32, "mxfp4": 32, "nvfp4": 16}
    assert tile(Asked("nvfp4")) == 128


TEXT = """
name = "formats"
features = { type = "log_mel", num_mels = 40 }
tokenizer = { type = "chars" }
decoder = [{ type = "ctc" }]
[encoder]
dim = 128
stem = { type = "frame_stack", factor = 4 }
stack = [{ blocks = ["a"] }]
block.a = { type = "transformer", mixer = { type = "attention", num_heads = 4 } }
[data]
train = [{ type = "folder", path = "a" }]
[train]
max_steps = 10
batch_s = 10
"""
STREAMS = "encoder.contexts=[{ chunk_ms = 240, left_ms = 480 }]"


def recipe(asked: Asked, *overrides: str) -> Document[Recipe]:
    keys = [f"precision.type={asked.format}"]
    if asked.format in LOW_PRECISIONS:
        keys.append(f"precision.emulate={str(asked.emulate).lower()}")
        keys += [f"precision.backend={asked.backend}"] * (asked.format != "mxfp4" and not asked.emulate)
        keys += [f"precision.scaling={asked.scaling}"] * (asked.format == "fp8")
    return loads(TEXT, Recipe, overrides=[*keys, *overrides])


def told(document: Document[Recipe]) -> list[str]:
    return [f"{one.path}: {one.message}" for one in problems(document)]


TILES, ODD = (), ("encoder.dim=200",)


@pytest.mark.parametrize("asked", ON, ids=str)
def test_check_says_of_each_machine_what_stands_against_a_recipe(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {dims: (recipe(asked, *dims), told(recipe(asked, *dims))) for dims in (TILES, ODD)}
    assert found[TILES][1] == []
    # Dims that do not tile are wrong on every machine; what the machine lacks is told all the same.
    if asked.format not in LOW_PRECISIONS:
        assert found[ODD][1] == []
    else:
        (odd,) = found[ODD][1]
        assert odd.startswith(f"encoder.dim: must be a multiple of {tile(asked)}, which precision.type = ")
        assert odd.endswith("or --set precision.type=bf16")
    for gpu, has_it, dims in itertools.product(GPUS, (True, False), (TILES, ODD)):
        monkeypatch.setattr(rules, "local_gpu", lambda gpu=gpu: GPUS[gpu])
        monkeypatch.setattr(rules, "has_package", lambda _, has_it=has_it: has_it)
        lack = wanted(asked, gpu, has_it)
        said = [f"precision.type: {lack}"] if lack else []
        assert list(rules.format_notes(found[dims][0].value)) == said, (gpu, has_it, dims)
        assert told(found[dims][0]) == found[dims][1], (gpu, has_it, dims)


@pytest.mark.parametrize("asked", ON, ids=str)
def test_a_run_is_refused_in_the_words_of_check(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    for gpu, has_it in itertools.product(GPUS, (True, False)):
        monkeypatch.setattr(manager, "gpu_of", lambda _, gpu=gpu: GPUS[gpu])
        monkeypatch.setattr(manager, "has_package", lambda _, has_it=has_it: has_it)
        lack = wanted(asked, gpu, has_it)
        if lack is None:
            require_machine(asked, device)
            continue
        with pytest.raises(LabError) as refused:
            require_machine(asked, device)
        assert str(refused.value) == f"precision.type: {lack}"


@pytest.mark.parametrize("backend", INSTALLED_BY)
def test_a_package_that_cannot_be_imported_is_named_with_the_way_out(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torchao", "transformer_engine", "transformer_engine.pytorch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError) as refused:
        get_precision_manager("mxfp8", backend=backend)
    assert str(refused.value).startswith(f"precision.type: {backend} cannot be imported (")
    assert str(refused.value).endswith(f"): {INSTALLED_BY[backend]}, or {OUT}")


@pytest.mark.parametrize(("gpu", "refused"), [("CPU", False), ("sm_75", True), ("sm_80", False)])
def test_what_a_machine_cannot_decode_in_is_told_with_another_to_decode_in(
    gpu: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "local_gpu", lambda: GPUS[gpu])
    said = list(rules.format_notes(recipe(Asked("fp16"), "decode.precision=bf16").value))
    lack = f"bfloat16 needs compute capability 8.0, and this is {GPUS[gpu]}: --set decode.precision=fp32"
    assert said == [f"decode.precision: {lack}"] * refused


def test_a_recipe_for_a_cluster_is_not_measured_by_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "local_gpu", lambda: None)
    assert notes(recipe(Asked("mxfp8"), 'launch.type="slurm"')) == []
    assert len(notes(recipe(Asked("mxfp8")))) == 1


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        (["precision.type=mxfp4"], "precision.type: no package trains MXFP4 on hardware: write emulate = true"),
        (["precision.type=fp8", "precision.scaling=delayed"], "precision.scaling: torchao has no delayed scaling"),
        (
            ["precision.type=fp8", "precision.backend=transformer-engine"],
            "precision.scaling: TransformerEngine has no rowwise scaling",
        ),
        (
            ["precision.type=nvfp4", "precision.emulate=true", "precision.backend=torchao"],
            "precision.backend: has no effect beside emulate = true",
        ),
        (
            [
                "precision.type=fp8",
                "precision.emulate=true",
                "precision.scaling=delayed",
                'launch={type="local", tasks_per_node=2}',
                "parallel.type=ddp",
            ],
            "precision.scaling: delayed scales follow from what one process has seen",
        ),
        (
            [
                "precision.type=mxfp8",
                "precision.backend=transformer-engine",
                'launch={type="local", tasks_per_node=2}',
                "parallel.type=fsdp",
            ],
            "precision.backend: TransformerEngine's layers hold whole weights",
        ),
        (
            ["precision.type=nvfp4", "precision.emulate=true", "decode.precision=same"],
            "decode.precision: 'same' is nvfp4, whose scales mix frames and utterances",
        ),
        (
            ["precision.type=fp8", "precision.scaling=tensorwise", "decode.precision=same"],
            "decode.precision: 'same' is tensorwise fp8, whose scales mix",
        ),
    ],
)
def test_what_no_machine_can_do_is_a_problem_of_the_recipe(overrides: list[str], wanted: str) -> None:
    (found,) = told(loads(TEXT, Recipe, overrides=overrides))
    assert found.startswith(wanted)


@pytest.mark.parametrize("asked", [Asked("fp8", True), Asked("mxfp8", True), Asked("mxfp4", True)], ids=str)
def test_what_rounds_each_frame_alone_may_be_decoded_in(asked: Asked) -> None:
    assert told(recipe(asked, "decode.precision=same", STREAMS)) == []


def test_a_streaming_recipe_that_mixes_frames_in_training_is_told_what_it_is_decoded_in() -> None:
    mixing = recipe(Asked("nvfp4", True), STREAMS)
    assert told(mixing) == []
    (note,) = notes(mixing)
    assert note == (
        "precision.type: nvfp4 mixes frames and utterances while it trains; the model streams all the same, since it "
        "is decoded in fp32"
    )
    assert notes(recipe(Asked("mxfp8", True), STREAMS)) == []
    assert notes(recipe(Asked("nvfp4", True))) == []
