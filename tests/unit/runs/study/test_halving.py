"""Successive halving decides by what runs wrote down, and refuses where it could not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab.config.grid import grid
from asr_lab.errors import LabError, RecipeError
from asr_lab.runs.directory import create_run, runs_root
from asr_lab.runs.events import EventWriter
from asr_lab.runs.study.halving import check_rungs, drop, rungs
from asr_lab.runs.study.points import points_of
from asr_lab.runs.study.tracked import TrackedPoint

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("arms", "eta", "shares"),
    [
        (3, 3, (1 / 3,)),
        (8, 3, (1 / 3,)),
        (9, 3, (1 / 9, 1 / 3)),
        (26, 3, (1 / 9, 1 / 3)),
        (8, 2, (1 / 8, 1 / 4, 1 / 2)),
    ],
)
def test_rungs_leave_fewer_arms_than_one_rung_takes(arms: int, eta: int, shares: tuple[float, ...]) -> None:
    assert rungs(arms, eta) == shares
    assert arms // eta ** len(shares) < eta


def test_too_few_arms_are_refused() -> None:
    with pytest.raises(LabError, match=r"--halving 3 keeps one in 3, and there are 2"):
        rungs(2, 3)


def tracked(path: Path, *texts: str) -> list[TrackedPoint]:
    found = []
    for point in points_of(path, grid(texts, str(path))):
        one = TrackedPoint(point)
        one.take(create_run(point.document, runs_root()))
        found.append(one)
    return found


def tell(one: TrackedPoint, *validations: tuple[int, float, float]) -> None:
    """A run's validations: step, share of the training, error rate."""
    assert one.run is not None
    with EventWriter(one.run.events_file, 1) as events:
        for step, share, value in validations:
            record = {"step": step, "share": share, "metric": "wer", "value": value, "cer": 0.5, "loss": 1.0}
            events.write("valid", {**record, "best": value, "best_step": step})
    one.refresh()


def test_the_best_arms_by_their_mean_over_seeds_go_on(recipe: Write) -> None:
    every = tracked(recipe(), "optimizer.peak_lr=1e-2,3e-3,1e-3", "seed=1,2")
    for one, value in zip(every, (0.1, 0.9, 0.4, 0.4, 0.6, 0.6), strict=True):
        tell(one, (4, 1 / 3, value))
    drop(every, 1 / 3, 3)
    assert [bool(one.dropped) for one in every] == [True, True, False, False, True, True]
    assert every[0].dropped == "at 33% of the training, 2 of 3; 1 went on"


def test_a_rung_is_the_best_validation_up_to_the_first_that_is_due_there(recipe: Write) -> None:
    (one, _) = tracked(recipe(), "seed=1,2")
    tell(one, (4, 0.3, 0.5), (8, 0.6, 0.7))
    found = one.at(0.5)
    assert found is not None
    assert found.value == 0.5  # a worse one later does not undo it
    assert one.at(0.7) is None
    tell(one, (12, 1.0, 0.1))
    again = one.at(0.5)
    assert again == found  # what comes after the rung does not count there


def test_a_finished_run_counts_at_rungs_that_it_never_came_to(recipe: Write) -> None:
    (one, _) = tracked(recipe(), "seed=1,2")
    tell(one, (4, 0.3, 0.5))  # patience ended it there
    one.state = "finished"
    found = one.at(0.5)
    assert found is not None
    assert found.value == 0.5


def test_one_that_failed_or_came_to_no_rung_is_out_and_its_arm_goes_by_the_others(recipe: Write) -> None:
    every = tracked(recipe(), "optimizer.peak_lr=1e-2,3e-3", "seed=1,2")
    every[0].fail("no memory")
    for one, value in zip(every[1:3], (0.2, 0.4), strict=True):
        tell(one, (4, 0.5, value))
    drop(every, 0.5, 2)
    assert [one.state for one in every] == ["failed", "waiting", "waiting", "failed"]
    assert "did not come to 50%" in every[3].reason
    assert [bool(one.dropped) for one in every] == [False, False, True, False]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("valid_every_steps = 4", "valid_every_steps = 12", r"tiny.toml:\d+ .* leaves no validation before the end"),
        (
            "max_steps = 12\nbatch_s = 6\nvalid_every_steps = 4",
            "max_epochs = 1\nbatch_s = 6",
            "once an epoch, at the end",
        ),
    ],
)
def test_a_recipe_without_validations_to_choose_by_is_refused(recipe: Write, old: str, new: str, says: str) -> None:
    path = recipe(old, new)
    with pytest.raises(RecipeError, match=says):
        check_rungs(points_of(path, grid(["seed=1,2"], str(path))))


def test_a_recipe_without_validation_is_refused(recipe: Write) -> None:
    path = recipe("valid_every_steps = 4\n", "")
    with pytest.raises(RecipeError, match="--halving chooses by validation"):
        check_rungs(points_of(path, grid(["seed=1,2", "data.valid=[]"], str(path))))
