"""The job: from a recipe to scores, through stops, changes and other processes."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab.commands.result import evaluation_of, result_json
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import RunError
from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.runs.dispatch import Prepared, cancel, check_data, prepare, start_job, write_request
from asr_lab.runs.events import EventWriter, read_events
from asr_lab.runs.job import entry, scores
from asr_lab.runs.job.attempt import Attempted
from asr_lab.runs.job.selection import Selection
from asr_lab.runs.job.stopping import INTERRUPTED, Stopper
from asr_lab.runs.jobs import is_process
from asr_lab.runs.lock import RunLock
from asr_lab.runs.provenance import read_provenance
from asr_lab.runs.status import status_of
from asr_lab.runs.view import PlainView, follow
from asr_lab.training import checkpoint
from asr_lab.training.parallel.group import Group
from asr_lab.training.state import fingerprint
from asr_lab.training.store import CheckpointStore

Write = Callable[..., Path]
SHARED = 'parallel={type="ddp"}'


def prepared(path: Path, *overrides: str, accept_changes: bool = False) -> Prepared:
    document = load_recipe(path, overrides)
    found = prepare(document, runs_root(), accept_changes=accept_changes)
    if found.standing not in ("finished", "running"):
        write_request(found, document, accept_changes)
    return found


def state_hash(run: RunDirectory) -> str:
    """The hash of the last checkpoint but for the clock's part of it."""
    newest = CheckpointStore(run.checkpoints).newest()
    assert newest is not None
    del newest[1].numbers["progress"]["wall_s"]
    return fingerprint(newest[1])


def test_a_run_trains_validates_scores_and_is_then_finished(recipe: Write) -> None:
    run = prepared(recipe()).run
    assert entry.main(str(run.path)) == 0
    events = read_events(run.events_file)
    validations = [e.data for e in events if e.kind == "valid"]
    assert [v["step"] for v in validations] == [4, 8, 12]
    assert all(0 < v["loss"] < 1000 and v["cer"] >= 0 for v in validations)
    assert [json.loads(line)["step"] for line in run.metrics_file.read_text().splitlines()] == list(range(1, 13))
    status = status_of(run)
    assert (status.phase, status.step) == ("done", 12)
    evaluation = evaluation_of(run)
    assert evaluation is not None
    assert evaluation.score.utterances == 6
    assert result_json(run)["test"]["rates"]["wer"]["value"] == evaluation.score.main.value
    assert status.result is not None
    assert status.result["results"][0]["rates"]["wer"]["value"] == evaluation.score.main.value
    assert status.result["chosen"] == status.best_step
    again = prepared(recipe())
    assert (again.run, again.standing) == (run, "finished")
    check_data(again, load_recipe(recipe()))


def test_settings_without_effect_are_noted_before_training(recipe: Write) -> None:
    run = prepared(recipe(), "train.patience=9", "train.keep_last=50", "train.valid_every_steps=99", SHARED).run
    entry.main(str(run.path))
    events = read_events(run.events_file)
    first = next(i for i, e in enumerate(events) if e.kind == "state" and e.data["state"] == "training")
    notes = [e.data["message"] for e in events[:first] if e.kind == "warning"]
    line = run.recipe_file.read_text().splitlines().index("average_decay = 0.9") + 1
    assert [note.partition(": ")[0] for note in notes] == [
        f"{run.recipe_file}:{line}  train.average_decay",
        "--set #1  train.patience",
        "--set #2  train.keep_last",
        "--set #3  train.valid_every_steps",
        "one process trains",
    ]


def test_other_decoding_scores_anew_and_trains_nothing(recipe: Write) -> None:
    run = prepared(recipe()).run
    entry.main(str(run.path))
    before = state_hash(run)
    anew = prepared(recipe(), "score.bootstrap=100")
    assert anew.standing == "score"
    assert entry.main(str(run.path)) == 0
    status = status_of(run)
    assert (state_hash(run), status.attempt, status.phase) == (before, 2, "done")
    assert status.result is not None
    assert status.result["reads"] == 2
    assert prepared(recipe(), "score.bootstrap=100").standing == "finished"


def test_patience_ends_a_run_for_good(recipe: Write) -> None:
    path = recipe("max_steps = 12", "max_steps = 40\npatience = 1", "valid_every_steps = 4", "valid_every_steps = 1")
    run = prepared(path).run
    entry.main(str(run.path))
    step = status_of(run).step
    assert step < 40
    entry.main(str(run.path))
    assert status_of(run).step == step


JOB = "import sys; from asr_lab.runs.job.entry import main; sys.exit(main(sys.argv[1]))"


def wait_for(what: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + 180
    while not what():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_run_goes_on_to_the_same_bits(recipe: Write, number: signal.Signals) -> None:
    path = recipe("max_steps = 12", "max_steps = 60", "_every_steps = 4", "_every_steps = 50")
    stopped = prepared(path).run
    with subprocess.Popen([sys.executable, "-c", JOB, str(stopped.path)], stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: status_of(stopped).step >= 1, process)
        process.send_signal(number)
    assert process.returncode == INTERRUPTED
    status = status_of(stopped)
    assert status.phase == "stopped"
    newest = CheckpointStore(stopped.checkpoints).newest()
    assert newest is not None
    assert 1 <= newest[0].step == status.step < 60
    assert prepared(path).standing == "resume"
    assert entry.main(str(stopped.path)) == 0
    assert read_provenance(stopped)[-1]["resumed_from"] == status.step
    assert len(stopped.metrics_file.read_text().splitlines()) == 60
    document = load_recipe(path)
    whole = prepare(document, runs_root(), again=True)
    write_request(whole, document, accept_changes=False)
    assert entry.main(str(whole.run.path)) == 0
    assert state_hash(whole.run) == state_hash(stopped)


def test_audio_changed_at_the_same_size_and_changed_test_references_are_noticed(
    recipe: Write, tones: Path, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(tones, tmp_path / "mine")
    os.environ["ASRLAB_DATA"] = str(tmp_path / "mine")  # the fixture puts it back
    run = prepared(recipe()).run
    entry.main(str(run.path))
    check_data(prepared(recipe()), load_recipe(recipe()))
    table = tmp_path / "mine" / "tones" / "manifest.tsv"
    rows = table.read_text().splitlines()
    columns = rows[0].split("\t")
    text, split, audio = (columns.index(name) for name in ("text", "split", "audio"))
    number = next(n for n, row in enumerate(rows) if row.split("\t")[split] == "test")
    fields = rows[number].split("\t")
    fields[text] += " one"
    table.write_text("\n".join([*rows[:number], "\t".join(fields), *rows[number + 1 :]]) + "\n")
    with pytest.raises(RunError, match=r"has changed since: test\n(.|\n)*asrlab eval scores them"):
        check_data(prepared(recipe()), load_recipe(recipe()))
    table.write_text("\n".join(rows) + "\n")
    check_data(prepared(recipe()), load_recipe(recipe()))
    number = next(n for n, row in enumerate(rows) if row.split("\t")[split] == "train")
    wav = table.parent / rows[number].split("\t")[audio]
    content = bytearray(wav.read_bytes())
    content[-1] ^= 1
    wav.write_bytes(content)
    with pytest.raises(RunError, match="has changed since: data"):
        check_data(prepared(recipe()), load_recipe(recipe()))


def test_changed_data_is_refused_until_accepted(recipe: Write, tones: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tones, tmp_path / "mine")
    os.environ["ASRLAB_DATA"] = str(tmp_path / "mine")  # the fixture puts it back
    run = prepared(recipe()).run
    entry.main(str(run.path))
    table = tmp_path / "mine" / "tones" / "manifest.tsv"
    table.write_text(table.read_text().replace("\tone ", "\ttwo ", 3))
    with pytest.raises(RunError, match="has changed since: data"):
        check_data(prepared(recipe()), load_recipe(recipe()))
    longer = prepared(recipe())
    write_request(longer, load_recipe(recipe()), accept_changes=False)
    with pytest.raises(RunError, match="changed since: data"):
        entry.main(str(run.path))
    error = status_of(run).error
    assert error is not None
    assert error["exit"] == 2
    write_request(longer, load_recipe(recipe()), accept_changes=True)
    assert entry.main(str(run.path)) == 0
    record = read_provenance(run)[-1]
    assert (record["accepted"][0]["kind"], record["exact"]) == ("data", False)


def test_a_run_in_use_is_refused(recipe: Write) -> None:
    run = prepared(recipe()).run
    with RunLock.take(run.lock), pytest.raises(RunError, match="in use by process"):
        entry.main(str(run.path), wait_s=0.1)


def test_several_processes_are_refused_clearly(recipe: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(RunError, match="torchrun started 2 processes"):
        entry.main(str(prepared(recipe()).run.path))


def test_a_damaged_checkpoint_is_passed_over_and_the_bits_stay_the_same(recipe: Write) -> None:
    run = prepared(recipe()).run
    entry.main(str(run.path))
    before = state_hash(run)
    weights = run.checkpoints / "step-00000012" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(Exception, match="checksum"):
        checkpoint.read(weights.parent)
    write_request(prepared(recipe()), load_recipe(recipe()), accept_changes=False)
    entry.main(str(run.path))
    assert state_hash(run) == before
    assert read_provenance(run)[-1]["resumed_from"] == 8
    notes = [e.data["message"] for e in read_events(run.events_file) if e.kind == "warning" and e.attempt == 2]
    assert [note for note in notes if note.startswith(f"checkpoint passed over, it is damaged: {weights}")]


def test_metrics_that_lag_behind_a_checkpoint_are_told(recipe: Write) -> None:
    run = prepared(recipe()).run
    entry.main(str(run.path))
    shutil.rmtree(run.checkpoints / "step-00000012")
    lines = run.metrics_file.read_text().splitlines(keepends=True)
    run.metrics_file.write_text("".join(lines[:4]))
    write_request(prepared(recipe()), load_recipe(recipe()), accept_changes=False)
    entry.main(str(run.path))
    notes = [e.data["message"] for e in read_events(run.events_file) if e.kind == "warning" and e.attempt == 2]
    assert "metrics.jsonl knows nothing of steps 5 to 8" in notes


def test_a_best_checkpoint_that_is_lost_is_told_and_the_next_best_is_scored(recipe: Write) -> None:
    run = prepared(recipe()).run
    entry.main(str(run.path))
    weights = run.checkpoints / "step-00000008" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    selection = Selection("wer", best=0.5, best_step=8)
    with RunLock.take(run.lock) as lock, EventWriter(run.events_file, lock.attempt) as events, Stopper() as stop:
        attempt = Attempted(run, lock, events, stop, Group())
        chosen = scores._choose(attempt, CheckpointStore(run.checkpoints), selection, 12)
    assert chosen == 12
    (note,) = [e.data["message"] for e in read_events(run.events_file) if e.kind == "warning" and e.attempt == 2]
    assert note.startswith(f"the best weights, of step 8, are lost: {weights}: ")
    assert note.endswith("; scored are those of 12")


def test_who_waited_for_another_to_finish_a_run_scores_it_no_second_time(recipe: Write) -> None:
    run = prepared(recipe()).run
    entry.main(str(run.path))
    entry.main(str(run.path))  # asked for before the first was done
    status = status_of(run)
    assert (status.attempt, status.phase) == (2, "done")
    assert status.result is not None
    assert status.result["reads"] == 1
    assert sum(e.data.get("state") == "scoring" for e in read_events(run.events_file)) == 1


@pytest.mark.parametrize("early", [False, True])
def test_a_signal_after_training_does_not_wait_for_the_scores(
    recipe: Write, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    """While the test sets are decoded, and during the last validation."""
    run = prepared(recipe()).run
    place = "asr_lab.runs.job.fit.validate" if early else "asr_lab.runs.job.validation.score_test"
    module, _, function = place.rpartition(".")
    real = getattr(importlib.import_module(module), function)
    calls: list[str] = []

    def signalled(*words: object) -> object:
        calls.append(function)
        if len(calls) == (3 if early else 1):
            os.kill(os.getpid(), signal.SIGUSR2)
        return real(*words)

    monkeypatch.setattr(place, signalled)
    assert entry.main(str(run.path)) == INTERRUPTED
    status = status_of(run)
    assert (status.phase, status.step, status.reason) == ("stopped", 12, "the job's time limit")
    assert entry.main(str(run.path)) == 0
    assert status_of(run).phase == "done"
    assert [e.data["step"] for e in read_events(run.events_file) if e.kind == "valid"] == [4, 8, 12]


def test_a_local_job_runs_apart_from_the_command_and_obeys_its_stop(recipe: Write) -> None:
    launch = '[launch]\ntype = "local"\ntimeout_min = 5\n[parallel]'
    path = recipe("max_steps = 12", "max_steps = 5000", "[parallel]", launch)
    found, document = prepared(path), load_recipe(path)
    snapshot = write_request(found, document, accept_changes=False)
    watch = start_job(found.run, snapshot, document.value.launch)
    try:
        assert prepared(path).standing == "running"  # before its process has begun
        wait_for(lambda: status_of(found.run).step >= 1)
        assert prepared(path).standing == "running"
        cancel(found.run)
        lines: list[str] = []
        status = follow(found.run, PlainView(found.run, lines.append), watch.job.since, watch)
    finally:
        wait_for(lambda: not is_process(watch.job))
    assert (status.phase, status.reason) == ("stopped", "SIGTERM")
    assert read_provenance(found.run)[-1]["hashes"]["code"].startswith(snapshot.name)
    assert read_provenance(found.run)[-1]["job"] == watch.job.ids[0]
