"""What is written down of the processes that train, and whether others go on with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr_lab.compiler.load import load_recipe
from asr_lab.errors import RunError
from asr_lab.runs.job.record import world_change, world_record
from asr_lab.training.parallel.world import World
from cli.main import app

Write = Callable[..., Path]
ONE, TWO, FOUR = World(), World(0, 2), World(0, 4)
SINGLE = 'parallel={type="single", parts=2}'
DDP, ORDERED = 'parallel={type="ddp", parts=2}', 'parallel={type="ddp", parts=4, ordered=true}'
FSDP, BF16 = 'parallel={type="fsdp", parts=2}', 'parallel={type="fsdp", parts=2, reduce="bf16"}'
FOUR_PARTS = 'parallel={type="ddp", parts=4}'
LIMITED = 'parallel={type="ddp", parts=2, max_rank_batch_s=3}'
BITWISE = "determinism.level=bitwise"
CASES = {
    "one, then two by ddp": ((SINGLE, ONE), (DDP, TWO), True),
    "two by ddp, then one": ((DDP, TWO), (DDP, ONE), True),
    "two by ddp, then by fsdp": ((DDP, TWO), (FSDP, TWO), True),
    "four in order, then one": ((ORDERED, FOUR), (ORDERED, ONE), True),
    "four, then one": ((FOUR_PARTS, FOUR), (FOUR_PARTS, ONE), False),
    "four, then two": ((ORDERED, FOUR), (FOUR_PARTS, TWO), False),
    "one without parts, then two": (("parallel.type=single", ONE), (DDP, TWO), False),
    "a step may be cut into more": ((LIMITED, ONE), (LIMITED, TWO), False),
    "sums in sixteen bits": ((BF16, ONE), (BF16, TWO), False),
}


@pytest.mark.parametrize("case", CASES)
def test_equal_bits_are_promised_where_gradients_are_added_alike(case: str, recipe: Write) -> None:
    before, after, is_exact = CASES[case]
    for level in (BITWISE, "determinism.level=seeded"):
        old, new = (
            world_record(load_recipe(recipe("max_rank_batch_s = 3\n", ""), [how, level]).value, world)
            for how, world in (before, after)
        )
        change = world_change(old, new)
        assert change.is_exact == (is_exact and level == BITWISE)
        assert change.line.startswith(f"goes on with processes = {after[1].size}, ")
        assert change.line.endswith("the same bits" if change.is_exact else "may differ in their last bits")
        assert world_change(new, new) == ("", True)


def test_a_record_from_before_says_less_and_promises_less(recipe: Write) -> None:
    now = world_record(load_recipe(recipe(), [DDP, BITWISE]).value, TWO)
    assert world_change({"processes": 2, "parallel": "ddp", "parts": 2}, now) == ("", True)
    assert not world_change({"processes": 1, "parallel": "single", "parts": None}, now).is_exact
    assert world_change({}, now) == ("", True)


def test_several_processes_are_refused_where_one_trains(recipe: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["run", str(recipe())])
    assert isinstance(done.exception, RunError)
    assert 'torchrun started 2 processes, of which [parallel] type = "single" trains with one' in str(done.exception)
