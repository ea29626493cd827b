"""Several processes against one: the same bits where that is promised, the same numbers elsewhere."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import run_ranks
from small_training import (
    ATTENTION,
    CTC,
    FAMILIES,
    TAPPED,
    exchanged,
    gone_on,
    loaded,
    overflowed,
    saved,
    trained,
    trained_by,
    write_recipe,
)

from asr_lab.training.parallel.group import Group

BITWISE = {"bitwise": True}
BOTH = ("ddp", "fsdp")


def alone(recipe: Path, parts: int, **rest: Any) -> dict[str, Any]:
    return trained(Group(), str(recipe), "single", parts, how=BITWISE, **rest)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_ranks_give_the_bits_of_one_process_with_two_microbatches(family: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, family, CTC + ATTENTION + TAPPED)
    wanted = alone(recipe, 2)
    assert run_ranks(2, trained_by, str(recipe), BOTH, 2, (), BITWISE) == [[wanted, wanted]] * 2


def test_a_rank_without_an_utterance_changes_nothing(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "ssm")
    silent = ((0, 1), (2, 0), (3, 0), (3, 1))
    wanted = alone(recipe, 2, silent=silent)
    assert wanted["skipped"] == ["", "", "", "no usable utterance in the step"]
    assert run_ranks(2, trained_by, str(recipe), BOTH, 2, silent, BITWISE) == [[wanted, wanted]] * 2


def test_four_ranks_give_the_numbers_of_one_process(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer", CTC + ATTENTION)
    wanted = alone(recipe, 8)
    for found in itertools.chain.from_iterable(run_ranks(4, trained_by, str(recipe), BOTH, 8)):
        assert found["losses"] == pytest.approx(wanted["losses"], rel=1e-5)
        assert found["norms"] == pytest.approx(wanted["norms"], rel=1e-4)
        assert found["audio_s"] == wanted["audio_s"]


def test_an_ordered_sum_gives_one_process_bits_on_three_ranks(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer")
    wanted = alone(recipe, 3)
    how = {**BITWISE, "ordered": True}
    assert run_ranks(3, trained, str(recipe), "ddp", 3, (), how) == [wanted] * 3


def test_muon_orthogonalises_whole_matrices(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer", optimizer="muon")
    wanted = alone(recipe, 2)
    assert run_ranks(2, trained_by, str(recipe), BOTH, 2, (), BITWISE) == [[wanted, wanted]] * 2


def test_a_loss_that_is_not_finite_on_one_rank_skips_the_step_on_all(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer")
    wanted = alone(recipe, 2, broken=((1, 1),))
    assert [bool(cause) for cause in wanted["skipped"]] == [False, True, False, False]
    assert wanted["suspects"][1] == ["1-1-0"]
    found = run_ranks(2, trained_by, str(recipe), BOTH, 2, (), BITWISE, (), ((1, 1),))
    assert str(found) == str([[wanted, wanted]] * 2)  # a loss of NaN equals no other


def test_the_loss_scale_of_fp16_falls_on_all_ranks_alike(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer")
    fp16 = ("precision.type=fp16",)
    wanted = alone(recipe, 2, overrides=fp16, broken=((1, 0),))
    assert wanted["scales"] == [64, 32, 32, 32]
    found = run_ranks(2, trained_by, str(recipe), BOTH, 2, (), BITWISE, fp16, ((1, 0),))
    assert str(found) == str([[wanted, wanted]] * 2)


@pytest.mark.parametrize(("kind", "told"), [("fp16", "overflow at loss scale 64"), ("fp32", "first in heads.0.")])
def test_a_gradient_that_overflows_on_one_rank_alone_is_known_to_all(kind: str, told: str, tmp_path: Path) -> None:
    recipe, overrides = str(write_recipe(tmp_path, "conformer")), (f"precision.type={kind}",)
    [wanted] = overflowed(Group(), recipe, ("single",), overrides)
    assert [told in cause for cause in wanted["causes"]] == [False, True, False, False]
    assert (wanted["scaler"] or {}).get("scale") == (32 if kind == "fp16" else None)
    assert run_ranks(2, overflowed, recipe, BOTH, overrides) == [[wanted, wanted]] * 2


def test_activations_computed_again_change_no_bit(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "ssm")
    wanted = alone(recipe, 2)
    how = {**BITWISE, "checkpoint_activations": True}
    assert trained(Group(), str(recipe), "single", 2, how=how) == wanted
    assert run_ranks(2, trained_by, str(recipe), BOTH, 2, (), how) == [[wanted, wanted]] * 2


def test_shards_within_machines_give_the_numbers_of_one_process(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer")
    wanted = alone(recipe, 4)
    for found in run_ranks(4, trained, str(recipe), "fsdp", 4, (), {"shards": 2, "reshard": False}):
        assert found["losses"] == pytest.approx(wanted["losses"], rel=1e-5)
        assert found["norms"] == pytest.approx(wanted["norms"], rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_and_gradients_may_cross_in_bf16(family: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, family, CTC + ATTENTION)
    bf16 = ("precision.type=bf16",)
    wanted = trained(Group(), str(recipe), "single", 2, overrides=bf16)
    how = {"gather": torch.bfloat16, "reduce": torch.bfloat16}
    for found in run_ranks(2, trained, str(recipe), "fsdp", 2, (), how, bf16):
        assert found["losses"] == pytest.approx(wanted["losses"], rel=0.02)


def test_shards_that_do_not_go_into_the_ranks_are_refused(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer")
    for found in run_ranks(2, trained, str(recipe), "fsdp", 2, (), {"shards": 3}):
        assert "parallel.shards is 3, of which 2 processes are no multiple" in found


def test_what_four_ranks_save_three_and_one_load(tmp_path: Path) -> None:
    recipe, folder = str(write_recipe(tmp_path, "conformer", optimizer="muon")), str(tmp_path / "saved")
    prints = run_ranks(4, saved, recipe, "fsdp", folder, 2)
    assert prints[1:] == [""] * 3
    whole, loss = loaded(Group(), recipe, "single", folder)
    assert whole == prints[0]
    for kind, size in (("fsdp", 3), ("ddp", 2)):
        (found, its_loss), *others = run_ranks(size, loaded, recipe, kind, folder)
        assert found == whole
        assert its_loss == pytest.approx(loss, rel=1e-5)
        assert [other[0] for other in others] == [""] * (size - 1)


def test_one_process_and_two_go_on_from_one_another_with_the_same_bits(tmp_path: Path) -> None:
    recipe, how = str(write_recipe(tmp_path, "conformer")), (2, BITWISE, ("precision.type=fp16",))
    alone, taken, left = (str(tmp_path / name) for name in ("whole", "taken", "left"))
    wanted = saved(Group(), recipe, "single", alone, 4, *how)
    saved(Group(), recipe, "single", taken, 2, *how)
    found = run_ranks(2, exchanged, recipe, BOTH, taken, left, *how)
    assert found == [[wanted, wanted], ["", ""]]
    assert (Path(left) / "shard-00001-of-00002.safetensors").exists()
    assert gone_on(Group(), recipe, "single", left, *how) == wanted
