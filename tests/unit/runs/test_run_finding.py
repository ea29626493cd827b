"""Finding runs: by what a recipe means, by what a user types."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab.commands.evaluate import evaluation_document
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import RunError
from asr_lab.runs.directory import RunDirectory, create_run, identity_of, runs_root
from asr_lab.runs.dispatch import prepare, write_request
from asr_lab.runs.events import EventWriter
from asr_lab.runs.find import all_runs, changed_defaults, find_run, find_weights, newest_running, run_of
from asr_lab.runs.lock import RunLock
from asr_lab.slots.tokenizers.chars import Chars

Write = Callable[..., Path]


def made(path: Path, *overrides: str, again: bool = False) -> RunDirectory:
    return create_run(load_recipe(path, overrides), runs_root(), again)


def found(path: Path, *overrides: str) -> RunDirectory | None:
    return run_of(identity_of(load_recipe(path, overrides).value), runs_root())


def test_a_run_is_named_by_label_and_hash_and_keeps_the_recipe_as_written(recipe: Write) -> None:
    path = recipe()
    run = made(path, "encoder.dim=32")
    document = load_recipe(path, ["encoder.dim=32"])
    assert run.name == f"tiny-{identity_of(document.value).hash[:8]}"
    assert run.recipe_file.read_text() == path.read_text()
    assert run.document().value == document.value
    assert run.resolved().overrides == ("encoder.dim=32",)


def test_spelling_label_execution_and_evaluation_find_the_same_run(recipe: Write) -> None:
    run = made(recipe())
    same = recipe(
        "seed = 7", "seed=7 # lucky", "3e-3", "0.003", 'name = "tiny"', 'name = "other"', "_workers = 0", "_workers = 3"
    )
    assert found(same) == run
    assert found(same, "score.bootstrap=200", "launch.type='local'") == run


def test_another_experiment_is_another_run(recipe: Write) -> None:
    made(recipe())
    assert found(recipe(), "seed=8") is None
    assert found(recipe(), "train.max_steps=13") is None


def test_a_run_from_before_a_key_was_added_is_the_recipes(recipe: Write) -> None:
    run = made(recipe())
    content = json.loads(run.resolved_file.read_text())
    augment = next(a for a in content["experiment"]["augment"] if a["type"] == "spec_augment")
    assert augment.pop("max_warp_share") == 0.0
    for name in (content["hash"], "0" * 64):  # of this schema, and of one that hashed what was there
        run.resolved_file.write_text(json.dumps({**content, "hash": name}))
        assert found(recipe()) == run
        assert changed_defaults(run, identity_of(load_recipe(recipe()).value)) == []
    assert found(recipe(), "augment[2].max_warp_share=0.1") is None


def test_a_key_that_came_or_went_without_a_word_is_shown(recipe: Write) -> None:
    run = made(recipe())
    content = json.loads(run.resolved_file.read_text())
    del content["experiment"]["train"]["max_nonfinite"]
    content["experiment"]["features"]["gone"] = 3
    run.resolved_file.write_text(json.dumps({**content, "hash": "0" * 64}))
    with pytest.raises(RunError, match=r"features\.gone: 3 -> absent\n *train\.max_nonfinite: absent -> 10"):
        prepare(load_recipe(recipe()), runs_root())


def test_the_run_of_the_hash_goes_before_one_that_would_have_it_today(recipe: Write) -> None:
    first, later = made(recipe()), made(recipe(), again=True)
    later.resolved_file.write_text(json.dumps({**json.loads(later.resolved_file.read_text()), "hash": "0" * 64}))
    assert found(recipe()) == first


def test_a_default_that_changed_since_is_shown_and_refused(recipe: Write) -> None:
    run = made(recipe())
    content = json.loads(run.resolved_file.read_text())
    content["experiment"]["train"]["max_nonfinite"] = 3
    run.resolved_file.write_text(json.dumps({**content, "hash": "0" * 64}))
    document = load_recipe(recipe())
    assert [(c.path, c.old, c.new) for c in changed_defaults(run, identity_of(document.value))] == [
        ("train.max_nonfinite", 3, 10)
    ]
    with pytest.raises(RunError, match=r"train\.max_nonfinite: 3 -> 10"):
        prepare(document, runs_root())


def test_again_makes_the_next_number_and_that_one_is_then_the_recipes(recipe: Write) -> None:
    first = made(recipe())
    second = made(recipe(), again=True)
    assert second.name == f"{first.name}.2"
    assert made(recipe(), again=True).name == f"{first.name}.3"
    assert found(recipe()) == RunDirectory(first.path.with_name(f"{first.name}.3"))


def test_a_foreign_folder_in_the_way_is_left_alone(recipe: Write) -> None:
    run = made(recipe())
    run.resolved_file.unlink()
    with pytest.raises(RunError, match="is not a run of this recipe"):
        made(recipe())
    assert [p.name for p in runs_root().iterdir()] == [run.name]


def test_an_argument_is_a_path_a_name_a_label_or_a_hash_prefix(recipe: Write) -> None:
    run = made(recipe())
    for argument in (str(run.path), run.name, "tiny", run.resolved().hash[:6]):
        assert find_run(argument, runs_root()).path.resolve() == run.path.resolve()
    with pytest.raises(RunError, match=r"no run 'huge' under .*; there are: tiny-"):
        find_run("huge", runs_root())
    other = made(recipe(), "seed=8")
    with pytest.raises(RunError, match=f"fits several runs: {run.name}, {other.name}"):
        find_run("tiny", runs_root())


def test_first_weights_are_named_by_path_name_label_or_hash_prefix(recipe: Write, tmp_path: Path) -> None:
    run = made(recipe())
    for argument in (str(run.path), run.name, "tiny", run.resolved().hash[:8]):
        assert find_weights(argument, runs_root()).resolve() == run.path.resolve()
    assert find_weights(str(tmp_path), runs_root()) == tmp_path
    with pytest.raises(RunError, match="no run 'absent' under"):
        find_weights("absent", runs_root())
    with pytest.raises(RunError, match="no run 'absent' under"):
        prepare(load_recipe(recipe(), ['init={from="absent"}']), runs_root())


def test_without_an_argument_the_newest_whole_checkpoint_decides(recipe: Write) -> None:
    with pytest.raises(RunError, match="has a checkpoint; train one with"):
        find_run("", runs_root())
    run, _ = made(recipe()), made(recipe(), "seed=8")
    torn = run.checkpoints / ".writing-step-00000004-1"
    torn.mkdir(parents=True)
    (torn / "checksums.json").write_text("{}")
    with pytest.raises(RunError):
        find_run("", runs_root())
    torn.rename(run.checkpoints / "step-00000004")
    assert find_run("", runs_root()) == run


def test_the_newest_finished_run_goes_before_newer_ones_that_are_not(recipe: Write) -> None:
    runs = [made(recipe(), f"seed={seed}") for seed in range(4)]
    for age, run in enumerate(runs):
        whole = run.checkpoints / "step-00000004"
        whole.mkdir(parents=True)
        (whole / "checksums.json").write_text("{}")
        os.utime(run.checkpoints, (1000 + age, 1000 + age))
    assert find_run("", runs_root()) == runs[3]
    for run in runs[:2]:
        with EventWriter(run.events_file, 1) as events:
            events.write("done", {"step": 4, "results": []})
    assert find_run("", runs_root()) == runs[1]
    with EventWriter(runs[1].events_file, 2) as events:
        events.write("state", {"state": "scoring"})
    assert find_run("", runs_root()) == runs[0]
    runs[0].events_file.write_text('{"attempt": 1, "time": 1, "kind": "done", "results": 3}\n')
    assert find_run("", runs_root()) == runs[3]


def test_a_run_that_a_process_trains_is_not_touched(recipe: Write) -> None:
    run = made(recipe())
    with pytest.raises(RunError, match="nothing runs"):
        newest_running(runs_root())
    with RunLock.take(run.lock):
        assert prepare(load_recipe(recipe()), runs_root()).standing == "running"
        assert newest_running(runs_root()) == run


def test_preparing_twice_gives_one_run(recipe: Write) -> None:
    document = load_recipe(recipe())
    first = prepare(document, runs_root())
    snapshot = write_request(first, document, accept_changes=False)
    second = prepare(document, runs_root())
    assert (first.run, first.standing, second.standing) == (second.run, "new", "new")
    assert all_runs(runs_root()) == [first.run]
    assert snapshot.name == first.code.hash[:16]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"resolved\.json cannot be read"),
        ("[]", r"resolved\.json is damaged: it holds no object"),
        ('{"hash": "0", "created": 1, "name": "x", "overrides": [], "experiment": {}, "execution": {}}', "evaluation"),
    ],
)
def test_a_damaged_run_says_what_is_wrong_and_leaves_the_others_alone(recipe: Write, text: str, message: str) -> None:
    whole, damaged = made(recipe()), made(recipe(), "seed=8")
    damaged.resolved_file.write_text(text)
    with pytest.raises(RunError, match=message):
        damaged.resolved()
    assert all_runs(runs_root()) == [damaged, whole]
    assert found(recipe()) == find_run("tiny", runs_root()) == whole
    assert found(recipe(), "seed=8") is None
    assert find_run(damaged.name, runs_root()) == damaged
    damaged.lock.mkdir()
    (damaged.lock / "0001.json").write_text("{")
    with RunLock.take(whole.lock):
        assert newest_running(runs_root()) == whole


@pytest.mark.parametrize(("record", "version"), [(None, "a version before 0.2.0"), ({"version": "0.9.1"}, "0.9.1")])
def test_a_run_whose_recipe_todays_schema_refuses_names_the_version_that_made_it(
    recipe: Write, record: dict[str, str] | None, version: str
) -> None:
    run = made(recipe())
    run.recipe_file.write_text(run.recipe_file.read_text().replace("num_mels = 16", "num_mels = 16\nspeaker_s = 5"))
    if record is not None:
        run.provenance_file.write_text(json.dumps({"attempts": [record]}))
    for read in (run.document, lambda: evaluation_document(run, (), ())):
        with pytest.raises(RunError, match=rf"made by {version}, and this one .* does not read its recipe") as caught:
            read()
        assert "features.speaker_s: unknown key" in str(caught.value)


def test_a_run_from_before_alphabets_were_taken_from_the_text_is_loaded_with_its_own(recipe: Write) -> None:
    run = made(recipe())
    content = json.loads(run.resolved_file.read_text())
    assert content["experiment"]["tokenizer"] == {"type": "chars", "alphabet": "auto"}
    content["experiment"]["tokenizer"]["alphabet"] = "cba 'é\""
    run.resolved_file.write_text(json.dumps(content))
    assert evaluation_document(run, (), ()).value.tokenizer == Chars(alphabet="cba 'é\"")
    drift = changed_defaults(run, identity_of(load_recipe(recipe()).value))
    assert [(change.path, change.new) for change in drift] == [("tokenizer.alphabet", "auto")]
