"""Converted layers in several processes: the numbers of one process, whole or in shards."""

from __future__ import annotations

from pathlib import Path

import pytest
from ranks import run_ranks
from small_training import CTC, trained, trained_by, write_recipe

from asr_lab.training.parallel.group import Group

BITWISE = {"bitwise": True}


@pytest.mark.parametrize("name", ["fp8", "mxfp8"])
def test_rounded_products_give_the_bits_of_one_process_on_two_ranks(name: str, tmp_path: Path) -> None:
    recipe = str(write_recipe(tmp_path, "conformer", CTC))
    overrides = ("encoder.dim=32", f"precision.type={name}", "precision.emulate=true")
    wanted = trained(Group(), recipe, "single", 2, how=BITWISE, overrides=overrides)
    assert run_ranks(2, trained_by, recipe, ("ddp", "fsdp"), 2, (), BITWISE, overrides) == [[wanted, wanted]] * 2
    plain = trained(Group(), recipe, "single", 2, how=BITWISE, overrides=("encoder.dim=32", "precision.type=bf16"))
    assert plain["losses"] != wanted["losses"]


def test_rounded_products_that_are_computed_again_on_the_way_back_round_again(tmp_path: Path) -> None:
    recipe = str(write_recipe(tmp_path, "ssm", CTC))
    overrides = ("encoder.dim=32", "precision.type=fp8", "precision.emulate=true")
    wanted = trained(Group(), recipe, "single", 2, how=BITWISE, overrides=overrides)
    how = {**BITWISE, "checkpoint_activations": True}
    assert trained(Group(), recipe, "single", 2, how=how, overrides=overrides) == wanted
