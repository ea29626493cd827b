"""The points of a study are checked, all of them, before any is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab.config.grid import grid
from asr_lab.errors import RecipeError
from asr_lab.runs.study.points import StudyPoint, points_of

Write = Callable[..., Path]


def points(path: Path, *texts: str) -> list[StudyPoint]:
    return points_of(path, grid(texts, str(path)))


def test_points_are_recipes_of_their_own_and_seeds_of_one_arm(recipe: Write) -> None:
    found = points(recipe(), "optimizer.peak_lr=1e-3,3e-4", "seed=1,2", "train.max_steps=5")
    assert [one.label for one in found] == [
        "peak_lr=1e-3 seed=1",
        "peak_lr=1e-3 seed=2",
        "peak_lr=3e-4 seed=1",
        "peak_lr=3e-4 seed=2",
    ]
    assert [one.arm for one in found] == ["peak_lr=1e-3"] * 2 + ["peak_lr=3e-4"] * 2
    assert [one.seed for one in found] == ["1", "2"] * 2
    assert len({one.hash for one in found}) == 4
    assert {one.document.value.train.max_steps for one in found} == {5}


def test_an_impossible_point_is_told_with_its_line_and_its_values(recipe: Write) -> None:
    path = recipe()
    line = (
        path.read_text().splitlines().index(next(li for li in path.read_text().splitlines() if "block.conf" in li)) + 1
    )
    with pytest.raises(RecipeError) as found:
        points(path, "encoder.dim=16,17", "seed=1,2,3")
    assert len(found.value.problems) == 1
    assert f"tiny.toml:{line}" in str(found.value)
    assert "(dim=17 seed=1, dim=17 seed=2 and 1 more)" in str(found.value)


def test_problems_of_several_points_come_in_one_report(recipe: Write) -> None:
    with pytest.raises(RecipeError) as found:
        points(recipe(), "encoder.dropout=0.1,2", "optimizer.peak_lr=1e-3,none", "train.batch=3")
    text = str(found.value)
    assert [problem.where for problem in found.value.problems] == ["--set #1", "--set #2", "--set #3"]
    assert "(dropout=2 peak_lr=1e-3, dropout=2 peak_lr=none)" in text
    assert text.count("unknown key") == 1  # of all points: none is named
    assert "unknown key" in text.splitlines()[-1]
    assert "peak_lr=1e-3)" not in text.splitlines()[-1]


@pytest.mark.parametrize("text", ["decode.beam=1,4", "optimizer.peak_lr=1e-3,0.001", "log.every_steps=1,2"])
def test_points_that_are_one_training_run_are_refused(recipe: Write, text: str) -> None:
    with pytest.raises(RecipeError, match=r"--set #1 .* are one training run"):
        points(recipe(), text)


def test_points_are_chosen_by_one_metric(recipe: Write) -> None:
    with pytest.raises(RecipeError, match=r"train.metric: must be one for all points"):
        points(recipe(), "train.metric=wer,cer")
