"""The studies of `asrlab results`: their points, and their test sets as one evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr_lab.commands.study import score_points, seeds
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import DataError, TrainingError
from asr_lab.evaluation.evaluation_files import evaluate, write_evaluation
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.runs.directory import create_run, runs_root
from asr_lab.runs.find import all_runs
from asr_lab.runs.study.points import points_of
from asr_lab.runs.study.study import Study, study_of
from asr_lab.text.normalizer import Normalizer
from cli.main import app

Write = Callable[..., Path]


def finished(path: Path, *hypotheses: str) -> Study:
    """A study of seeds whose runs decoded one utterance each, so."""
    study = study_of(points_of(path, seeds(load_recipe(path), range(len(hypotheses)))), runs_root())
    for one, hypothesis in zip(study.tracked, hypotheses, strict=True):
        run = create_run(one.point.document, runs_root())
        row = DecodedUtterance("u", "one two", hypothesis, {}, 1.0)
        write_evaluation(evaluate({"tones": [row]}, Normalizer(("nfc",)), 100, 0), run.eval, "test")
        one.take(run)
        one.state = "finished"
    return study


def test_the_test_sets_of_seeds_are_scored_side_by_side_and_together(recipe: Write) -> None:
    path = recipe()
    study = finished(path, "one two", "one six")
    found = score_points(load_recipe(path), study, "seed")
    assert [one["name"] for one in found["sets"]] == ["seed 0", "seed 1"]
    assert [one["rates"]["wer"]["value"] for one in found["sets"]] == [0.0, 0.5]
    assert found["rates"]["wer"]["value"] == 0.25
    assert found["about"]["study"] == "seed"
    assert list(found["about"]["runs"].values()) == [run.name for run in all_runs(runs_root())]


def test_a_study_with_a_failed_run_is_not_scored_and_says_why(recipe: Write) -> None:
    path = recipe()
    study = finished(path, "one two", "one six")
    study.tracked[1].fail("the loss is not finite")
    with pytest.raises(TrainingError, match="seed=1: failed: the loss is not finite"):
        score_points(load_recipe(path), study, "seed")


def test_a_study_of_one_seed_is_none(recipe: Write) -> None:
    with pytest.raises(DataError, match="two different ones"):
        seeds(load_recipe(recipe()), [3, 3])


def test_seeds_keep_what_was_set(recipe: Write) -> None:
    path = recipe()
    points = points_of(path, seeds(load_recipe(path, ["train.max_steps=5"]), [1, 2]))
    assert {one.document.value.train.max_steps for one in points} == {5}
    assert [one.document.value.seed for one in points] == [1, 2]


@pytest.mark.prove
@pytest.mark.parametrize(
    ("study", "names"),
    [(("--seeds", "1,2"), ["seed 1", "seed 2"]), (("--leave-out", "tones.speaker"), ["s0", "s1", "s2"])],
)
def test_results_trains_a_study_and_publishes_it(
    recipe: Write, tmp_path: Path, study: tuple[str, ...], names: list[str]
) -> None:
    path = str(recipe("max_steps = 12", "max_steps = 4"))
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results:start -->\n<!-- results:end -->\n")
    words = ["results", path, *study, "--out", str(tmp_path / "out"), "--readme", str(readme)]
    done = CliRunner().invoke(app, [*words, "--workers", "2"])
    assert done.exit_code == 0, done.output
    (published,) = (tmp_path / "out").glob("*.json")
    content = json.loads(published.read_text())
    assert [one["name"] for one in content["sets"]] == names
    assert content["about"]["runs"].keys() == set(names)
    assert len(set(content["about"]["runs"].values())) == len(names)
    assert "| mean |" in readme.read_text()
