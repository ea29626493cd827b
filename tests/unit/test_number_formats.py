"""Each number format on each kind of machine: what is said, and the way out."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from asr_lab.compiler import number_formats as rules
from asr_lab.compiler.notes import notes
from asr_lab.compiler.rules import problems
from asr_lab.config.load import Document, loads
from asr_lab.number_formats import FORMATS, LOW_PRECISIONS, Asked, Gpu, impossible, tile, unavailable
from asr_lab.recipe import Recipe

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
OLD, FP16, NEEDS_GPU, NEEDS = "CUDA 12.6", "precision.type=fp16", "needs a GPU", "needs compute capability"
ON = {
    # what is asked:          CPU        sm_70 sm_75 sm_80  sm_89  sm_90  sm_100 sm_120
    Asked("fp32"): ("", OLD, "", "", "", "", "", ""),
    Asked("fp16"): ("", OLD, "", "", "", "", "", ""),
    Asked("bf16"): ("", OLD, FP16, "", "", "", "", ""),
    Asked("fp8"): (NEEDS_GPU, OLD, NEEDS, NEEDS, NEEDS, "", "", ""),
    Asked("fp8", scaling="tensorwise"): (NEEDS_GPU, OLD, NEEDS, NEEDS, "", "", "", ""),
    Asked("fp8", False, "transformer-engine", "delayed"): (NEEDS_GPU, OLD, NEEDS, NEEDS, "", "", "", ""),
    Asked("mxfp8"): (NEEDS_GPU, OLD, NEEDS, NEEDS, NEEDS, NEEDS, "", NEEDS),
    Asked("mxfp8", False, "transformer-engine"): (NEEDS_GPU, OLD, NEEDS, NEEDS, NEEDS, NEEDS, "", NEEDS),
    Asked("nvfp4"): (NEEDS_GPU, OLD, NEEDS, NEEDS, NEEDS, NEEDS, "", NEEDS),
    Asked("nvfp4", False, "transformer-engine"): (NEEDS_GPU, OLD, NEEDS, NEEDS, NEEDS, NEEDS, "", ""),
    **{Asked(name, emulate=True): ("", OLD, FP16, "", "", "", "", "") for name in LOW_PRECISIONS},
}


@pytest.mark.parametrize(("asked", "gpu"), list(itertools.product(ON, GPUS)), ids=str)
def test_a_format_says_what_it_lacks(asked: Asked, gpu: str) -> None:
    said = unavailable(asked, GPUS[gpu], lambda _: True)
    wanted = ON[asked][list(GPUS).index(gpu)]
    assert (said is None) == (wanted == ""), said
    if said is None:
        return
    assert wanted in said
    assert gpu == "CPU" or gpu in said
    if wanted in (NEEDS, NEEDS_GPU):
        assert "--set precision.type=bf16 or --set precision.emulate=true" in said


@pytest.mark.parametrize("asked", [a for a in ON if a.format in LOW_PRECISIONS], ids=str)
def test_a_package_is_named_where_it_is_absent_and_the_gpu_would_do(asked: Asked) -> None:
    said = unavailable(asked, GPUS["sm_100"], lambda _: False)
    if asked.emulate:
        assert said is None
    else:
        assert said is not None
        assert asked.backend in said
        assert f"uv sync --extra {asked.backend}" in said


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


@pytest.mark.parametrize("asked", ON, ids=str)
def test_check_says_of_each_machine_what_stands_against_a_recipe(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    document = recipe(asked)
    assert told(document) == []
    for (gpu, machine), has_it in itertools.product(GPUS.items(), (True, False)):
        monkeypatch.setattr(rules, "local_gpu", lambda machine=machine: machine)
        monkeypatch.setattr(rules, "has_package", lambda _, has_it=has_it: has_it)
        said = list(rules.format_notes(document.value))
        wanted = ON[asked][list(GPUS).index(gpu)]
        if not wanted and asked.format in LOW_PRECISIONS and not asked.emulate and not has_it:
            wanted = f"needs {asked.backend}, which is not installed"
        assert [wanted in note for note in said] == [True] * bool(wanted), (gpu, has_it, said)
    # Dims that do not tile are wrong on every machine, and told before there is one.
    odd = told(recipe(asked, "encoder.dim=200"))
    if asked.format not in LOW_PRECISIONS:
        assert odd == []
    else:
        assert len(odd) == 1
        assert odd[0].startswith(f"encoder.dim: must be a multiple of {tile(asked)}, which precision.type = ")
        assert odd[0].endswith("or --set precision.type=bf16")


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
