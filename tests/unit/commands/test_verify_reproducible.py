"""`verify-reproducible`: what is varied, what a level promises, and trainings of its own processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from asr_lab.commands.reproducible_steps import train
from asr_lab.commands.verify_reproducible import (
    PROMISED,
    Outcome,
    Reproduced,
    Variation,
    products_here,
    variations,
    verify,
)
from asr_lab.compiler.load import load_recipe
from asr_lab.devices import num_processors
from asr_lab.errors import LabError

Write = Callable[..., Path]
RECIPES = Path(__file__).resolve().parents[3] / "recipes"


def first(cpu: str = "AVX2", threads: int = 1, longest_s: float = 0.5) -> dict[str, Any]:
    return {"record": {"cpu": cpu, "threads": threads}, "longest_s": longest_s}


def test_what_is_tried_fits_the_machine_and_the_recipe(recipe: Write) -> None:
    document = load_recipe(recipe())
    found = list(variations(document, first(), ("threads", "instructions", "batch", "workers", "repeat")))
    kinds = [one.kind for one in found]
    threads = ["threads"] * (2 if num_processors() > 2 else 1)
    assert kinds == ["repeat", *threads, "workers", "batch", *["instructions"] * 3]
    (avx512,) = [one for one in found if isinstance(one, Outcome)]
    assert (avx512.what, avx512.held) == ("instruction set avx512", None)
    sets = [one for one in found if isinstance(one, Variation) and one.kind == "instructions"]
    assert [one.environment["ATEN_CPU_CAPABILITY"] for one in sets] == ["default", "avx2"]
    (workers,) = [one for one in found if isinstance(one, Variation) and one.kind == "workers"]
    assert workers.environment["OMP_NUM_THREADS"] == "1", "or threads would be varied with the workers"
    uncut = load_recipe(recipe("max_rank_batch_s = 3", ""))
    (long,) = variations(uncut, first(longest_s=1e6), ("batch",))
    assert isinstance(long, Outcome)
    assert "leaves no smaller microbatch" in long.note


def test_more_is_promised_at_each_level_and_a_broken_promise_fails() -> None:
    levels = [PROMISED[level] for level in ("off", "seeded", "bitwise", "cross_hardware")]
    assert all(lower <= higher for lower, higher in pairwise(levels))
    kept = Outcome("repeat", "nothing", True, True, "", {})
    unkept = Outcome("threads", "2 threads", False, False, "", {})
    broken = Outcome("workers", "0 data workers", True, False, "", {})
    assert Reproduced("seeded", "", 3, {}, (kept, unkept)).holds
    assert not Reproduced("seeded", "", 3, {}, (kept, broken)).holds


def test_an_unknown_kind_is_named(recipe: Write) -> None:
    with pytest.raises(LabError, match="nothing called 'weather'"):
        next(verify(load_recipe(recipe()), 1, ("weather",)))


def test_bits_are_those_of_the_seed(recipe: Write, tmp_path: Path) -> None:
    path, found = recipe(), []
    for place, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(place)
        folder.mkdir()
        found.append(train(str(path), [f"seed={seed}", "data.num_workers=0"], 2, "repdl", folder))
    one, same, other = ({name: f[name] for name in ("weights", "optimizer", "losses")} for f in found)
    assert one == same
    assert not set(one.values()) & set(other.values())
    assert found[0]["record"]["repeats"]


def cross_hardware(recipe: Write) -> Path:
    """The small recipe at that level, its steps of two utterances."""
    no_waves = '[[augment]]\ntype = "speed"\nfactors = [0.9, 1.0, 1.1]\n[[augment]]\ntype = "noise"\n'
    level = '[schedule]\ntype = "wsd"\n[determinism]\nlevel = "cross_hardware"\n[data]\n'
    sizes = ("batch_s = 6", "batch_s = 1.7", "max_rank_batch_s = 3", "max_rank_batch_s = 1.7")
    return recipe(no_waves, "", "[data]\n", level, *sizes)


def test_at_cross_hardware_the_cut_into_microbatches_changes_no_bit(recipe: Write, tmp_path: Path) -> None:
    found = []
    for part_s in (1.7, 0.85):
        folder = tmp_path / str(part_s)
        folder.mkdir()
        given = [f"parallel.max_rank_batch_s={part_s}"]
        found.append(train(str(cross_hardware(recipe)), given, 1, "twin", folder))
    assert [f["microbatches"] for f in found] == [[1], [2]]
    assert all(found[0][name] == found[1][name] for name in ("weights", "optimizer", "losses"))
    assert found[0]["record"]["same_as_elsewhere"]


@pytest.mark.prove
def test_cross_hardware_holds_whatever_changes(recipe: Write) -> None:
    """On RepDL where it is built, else on its twin."""
    *_, found = verify(load_recipe(cross_hardware(recipe)), 1, products=products_here())
    assert isinstance(found, Reproduced)
    print(f"products by {found.products}: {[(o.what, o.held) for o in found.outcomes]}")
    assert found.holds
    assert {o.kind for o in found.outcomes if o.held} >= {"repeat", "threads", "workers", "batch", "instructions"}


SMALL = (
    'schedule={ type = "wsd" }',
    'augment=[{ type = "spec_augment" }]',
    'data={ train = [{ type = "synthetic", split = "train", num_utterances = 200 }] }',
    "train.batch_s=10",
    "parallel.max_rank_batch_s=10",
    "determinism.level=cross_hardware",
)
"""What the level covers of a family's smallest recipe, over speech that is anywhere."""


@pytest.mark.prove
@pytest.mark.parametrize("family", ["ssm", "conformer", "whisper"])
def test_every_family_trains_at_cross_hardware(family: str) -> None:
    document = load_recipe(RECIPES / f"{family}_tiny.toml", SMALL)
    *_, found = verify(document, 2, ("threads", "batch", "instructions"), products=products_here())
    assert isinstance(found, Reproduced)
    print(f"{family}: products by {found.products}: {[(o.what, o.held) for o in found.outcomes]}")
    assert found.holds


@pytest.mark.prove
def test_a_level_is_tried_in_processes_of_its_own(recipe: Write) -> None:
    """`seeded` promises nothing of threads and instruction sets; every promise of it holds."""
    from cli.main import app

    result = CliRunner().invoke(
        app, ["verify-reproducible", str(recipe()), "--steps", "2", "--vary", "repeat,workers,instructions", "--json"]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["holds"]
    assert {o["kind"] for o in found["outcomes"]} == {"repeat", "workers", "instructions"}
    assert all(o["held"] for o in found["outcomes"] if o["promised"])
