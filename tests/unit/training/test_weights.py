"""The mean of the best checkpoints: exact, of the whole ones alone, and known by name."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from asr_lab.errors import CheckpointError
from asr_lab.training.init import initialise
from asr_lab.training.rank import Rank
from asr_lab.training.state import Snapshot
from asr_lab.training.store import CheckpointStore
from asr_lab.training.weight_choice import name_problem, num_averaged
from asr_lab.training.weights import choose_weights, mean_weights, rounded

RANKS = (0.9, 0.2, 0.5, 0.3, 0.4)
"""By step; the best are 2, 4, 5, 3, 1."""


def weights(step: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(step)
    return {
        "w": torch.randn(40, 7, generator=draw) * 10.0**step,
        "half": torch.randn(3, 50, generator=draw).bfloat16(),
        "seen": torch.tensor(100 * step),
        "on": torch.tensor([step % 2 == 0]),
    }


def store_of(folder: Path, keep_best: int, keep_last: int = 1) -> CheckpointStore:
    store = CheckpointStore(folder, keep_last, keep_best)
    for step, value in enumerate(RANKS, start=1):
        store.save(Snapshot({"model": weights(step)}, {"progress": {"step": step}}), rank=Rank(value))
    return store


def exact_mean(name: str, steps: list[int]) -> list[Fraction]:
    """The mean as a fraction, of every value."""
    columns = zip(*(weights(step)[name].double().flatten().tolist() for step in steps), strict=True)
    return [sum((Fraction(x) for x in column), Fraction()) / len(steps) for column in columns]


@pytest.mark.parametrize(("keep_best", "stay"), [(1, [2, 5]), (2, [2, 4, 5]), (4, [2, 3, 4, 5]), (9, [1, 2, 3, 4, 5])])
def test_as_many_of_the_best_stay_as_asked_for(tmp_path: Path, keep_best: int, stay: list[int]) -> None:
    store = store_of(tmp_path, keep_best)
    assert [saved.step for saved in store.all()] == stay
    ranked = [step for step in (2, 4, 5, 3, 1) if step in stay]
    assert [int(path.name[-1]) for path in store.best_few(len(ranked))] == ranked


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_mean_of_the_best_is_the_nearest_number_to_the_true_mean(tmp_path: Path, count: int) -> None:
    chosen = choose_weights(store_of(tmp_path, 5), f"average:{count}")
    steps = [2, 4, 5, 3, 1][:count]
    assert [int(path.name[-1]) for path in chosen.folders] == steps
    assert chosen.kind == f"average:{count}"
    found = chosen.read()
    for name, spacing in (("w", 2.0**-24), ("half", 2.0**-8)):
        assert found[name].dtype == weights(1)[name].dtype
        for value, true in zip(found[name].double().flatten().tolist(), exact_mean(name, steps), strict=True):
            # half the spacing of its type, and what a float64 sum of cancelling terms may lose
            assert abs(Fraction(value) - true) <= abs(true) * Fraction(spacing) + Fraction(10**5) * Fraction(2**-50)
    assert found["seen"] == 200
    assert found["on"].tolist() == [True]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_a_float64_is_rounded_once(dtype: torch.dtype) -> None:
    grid = torch.linspace(-3, 3, 601, dtype=torch.float64).to(dtype).double()
    ties = (grid[:-1] + grid[1:]) / 2
    tiny = 2.0**-40
    for values in (grid, ties, ties + tiny, ties - tiny, torch.tensor([0.0, 1e300, -1e300, 1e-300, torch.inf])):
        found = rounded(values, dtype)
        near = [found.double()]
        for way in (-torch.inf, torch.inf):
            near.append(torch.nextafter(found, torch.tensor(way, dtype=dtype)).double())
        finite = torch.isfinite(near[0]) & torch.isfinite(values)
        own = (values - near[0]).abs()[finite]
        assert torch.all(own <= (values - near[1]).abs()[finite])
        assert torch.all(own <= (values - near[2]).abs()[finite])
    assert torch.equal(rounded(ties, dtype), ties.to(dtype))  # ties go to even either way


def test_the_error_names_the_key_that_says_how_many_stay(tmp_path: Path) -> None:
    store = store_of(tmp_path, 2)
    with pytest.raises(CheckpointError, match=r"the 4 best .* ranked 3 whole .*step-00000002.*train\.keep_best"):
        choose_weights(store, "average:4")


def test_a_damaged_one_is_passed_over_for_the_next_best(tmp_path: Path) -> None:
    store = store_of(tmp_path, 5)
    (tmp_path / "step-00000004" / "model.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"step-00000004.*the next best is taken"):
        assert [path.name[-1] for path in choose_weights(store, "average:3").folders] == ["2", "5", "3"]
    with pytest.raises(CheckpointError, match=r"train\.keep_best(.|\n)*step-00000004/model"):
        choose_weights(store, "average:5")


def test_exponential_averages_are_what_is_averaged_where_a_run_keeps_them(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, 9, 9)
    for step in (1, 2):
        tensors = {"model": {"w": torch.zeros(3), "b": torch.ones(1)}, "average": {"w": torch.full((3,), float(step))}}
        store.save(Snapshot(tensors, {"progress": {"step": step}}), rank=Rank(0.1))
    found = choose_weights(store, "average:2")
    assert found.has_averages
    assert found.read()["w"].tolist() == [1.5] * 3
    assert choose_weights(store, "last").read()["w"].tolist() == [0.0] * 3


def test_checkpoints_of_two_models_have_no_mean() -> None:
    with pytest.raises(CheckpointError, match=r"another model:\n  w: float32 \(2,\) here, float32 \(3,\)"):
        mean_weights([{"w": torch.zeros(2)}, {"w": torch.zeros(3)}], "here")


def test_a_run_starts_from_the_mean_of_anothers_best(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", 1, 3)
    for step in (1, 2, 3):
        tensors = {"weight": torch.full((2, 2), float(step)), "bias": torch.zeros(2)}
        store.save(Snapshot({"model": tensors}, {"progress": {"step": step}}), rank=Rank(step / 10))
    model = nn.Linear(2, 2)
    lineage = initialise(model, tmp_path, name="average:2")
    assert model.weight.tolist() == [[1.5, 1.5], [1.5, 1.5]]
    assert (lineage.weights, lineage.step, lineage.mean_of, lineage.averaged) == ("average:2", 1, (1, 2), False)
    last = initialise(nn.Linear(2, 2), tmp_path, name="last")
    assert (last.weights, last.step, last.mean_of) == ("last", 3, ())
    with pytest.raises(CheckpointError, match=r"is one checkpoint; init\.checkpoint = 'last' chooses among"):
        initialise(model, tmp_path / "checkpoints" / "step-00000001", name="last")


@pytest.mark.parametrize("name", ["average:", "average:0", "average:x", "average:-1", "average:1.5", "average:٣"])
def test_a_misspelt_number_is_told_with_an_example(name: str) -> None:
    with pytest.raises(CheckpointError, match="average:N takes a whole number from 1"):
        num_averaged(name)
    assert "takes a whole number" in (name_problem(name) or "")
    with pytest.raises(CheckpointError, match="takes a whole number"):
        num_averaged("average:" + "9" * 5000)


def test_a_recipe_names_only_weights_that_runs_have() -> None:
    assert [name_problem(name) for name in ("best", "last", "average", "average:12")] == [None] * 4
    assert "best, last, average or average:N, got 'newest'" in (name_problem("newest") or "")
