"""Several processes against one: the same bits where that is promised, the same numbers elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ranks import run_ranks
from small_training import ATTENTION, CTC, FAMILIES, TAPPED, trained, write_recipe

from asr_lab.training.parallel.group import Group

BITWISE = {"bitwise": True}


def alone(recipe: Path, parts: int, **rest: Any) -> dict[str, Any]:
    return trained(Group(), str(recipe), "single", parts, how=BITWISE, **rest)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_ranks_give_the_bits_of_one_process_with_two_microbatches(family: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, family, CTC + ATTENTION + TAPPED)
    wanted = alone(recipe, 2)
    for kind in ("ddp", "fsdp"):
        assert run_ranks(2, trained, str(recipe), kind, 2, (), BITWISE) == [wanted, wanted]


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_a_rank_without_an_utterance_changes_nothing(kind: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "ssm")
    silent = ((0, 1), (2, 0), (3, 0), (3, 1))
    wanted = alone(recipe, 2, silent=silent)
    assert wanted["skipped"] == ["", "", "", "no usable utterance in the step"]
    assert run_ranks(2, trained, str(recipe), kind, 2, silent, BITWISE) == [wanted, wanted]


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_four_ranks_give_the_numbers_of_one_process(kind: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer", CTC + ATTENTION)
    wanted = alone(recipe, 8)
    for found in run_ranks(4, trained, str(recipe), kind, 8):
        assert found["losses"] == pytest.approx(wanted["losses"], rel=1e-5)
        assert found["norms"] == pytest.approx(wanted["norms"], rel=1e-4)
        assert found["audio_s"] == wanted["audio_s"]


def test_an_ordered_sum_gives_one_process_bits_on_three_ranks(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer")
    wanted = alone(recipe, 3)
    how = {**BITWISE, "ordered": True}
    assert run_ranks(3, trained, str(recipe), "ddp", 3, (), how) == [wanted] * 3


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_muon_orthogonalises_whole_matrices(kind: str, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "conformer", optimizer="muon")
    wanted = alone(recipe, 2)
    assert run_ranks(2, trained, str(recipe), kind, 2, (), BITWISE) == [wanted, wanted]
