"""`asrlab run`, `watch` and `runs`, as typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from asr_lab.compiler.load import load_recipe
from asr_lab.errors import LabError
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.runs.find import all_runs
from asr_lab.runs.lock import Liveness
from asr_lab.runs.status import status_of
from cli.main import app

Write = Callable[..., Path]
COMMAND = [sys.executable, "-c", "from cli.main import main; main()"]
WITHOUT_TORCH = "import sys; from cli.main import app; app(standalone_mode=False); sys.exit('torch' in sys.modules)"


def asrlab(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def only_run() -> RunDirectory:
    (run,) = all_runs(runs_root())
    return run


def test_a_recipe_is_run_to_a_table_and_not_trained_twice(recipe: Write) -> None:
    path = str(recipe())
    first = asrlab("run", path)
    assert first.exit_code == 0, first.output
    name = only_run().name
    for shown in (
        "a new run",
        "words (WER)",
        "95 % interval",
        "reference",
        "test.jsonl",
        f"asrlab transcribe FILE.wav --run {name}",
    ):
        assert shown in first.output
    second = asrlab("run", path)
    assert second.exit_code == 0
    assert "is finished" in second.output
    assert second.stdout.splitlines()[-6:] == first.stdout.splitlines()[-6:]
    assert status_of(only_run()).attempt == 1
    fresh = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, "run", path], capture_output=True, text=True)
    assert (fresh.returncode, fresh.stdout) == (0, second.stdout), fresh.stderr
    printed = json.loads(asrlab("run", path, "--json").stdout)
    assert printed["test"]["rates"]["wer"].keys() >= {
        "value",
        "low",
        "high",
        "substitutions",
        "deletions",
        "insertions",
    }
    (row,) = json.loads(asrlab("runs", "--json").stdout)
    assert (row["run"], row["state"], row["step"], row["label"]) == (name, "finished", 12, "tiny")
    assert name in asrlab("runs").stdout
    third = asrlab("run", path, "--again")
    assert third.exit_code == 0
    assert [run.name for run in all_runs(runs_root())] == [name, f"{name}.2"]


def test_changed_code_is_refused_with_its_diff(recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(recipe())
    (tmp_path / "mine" / "blocks").mkdir(parents=True)
    (tmp_path / "mine" / "blocks" / "notes.txt").write_text("1\n")
    monkeypatch.setenv("ASRLAB_PATH", str(tmp_path / "mine"))
    assert asrlab("run", path).exit_code == 0
    (tmp_path / "mine" / "blocks" / "notes.txt").write_text("1\n2\n")
    refused = asrlab("run", path)
    assert isinstance(refused.exception, LabError)  # main turns it into exit code 2
    assert "has changed since: code" in str(refused.exception)
    assert "path0/blocks/notes.txt  +1 -0" in str(refused.exception)
    assert asrlab("run", path, "--accept-changes").exit_code == 0


def test_watching_nothing_says_so(recipe: Write) -> None:
    found = asrlab("watch")
    assert isinstance(found.exception, LabError)
    assert "asrlab runs" in str(found.exception)
    assert "no runs under" in asrlab("runs").stdout


@pytest.fixture
def no_leftovers(recipe: Write) -> Iterator[None]:
    root = runs_root()  # the test's own; once `recipe` is undone, this would be the user's
    yield
    for run in all_runs(root):
        holder = Liveness(run.lock).holder()
        if holder is not None and holder.owner.pid != os.getpid():
            os.kill(holder.owner.pid, signal.SIGKILL)


def wait_for_a_step() -> RunDirectory:
    deadline = time.monotonic() + 180
    while not all_runs(runs_root()) or status_of(only_run()).step < 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return only_run()


@pytest.mark.usefixtures("no_leftovers")
def test_ctrl_c_saves_and_says_how_to_go_on(recipe: Write) -> None:
    words = [*COMMAND, "run", str(recipe()), "--set", "train.max_steps=5000"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        run = wait_for_a_step()
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    step = status_of(run).step
    assert f"stopped by Ctrl-C after step {step:,}, saved" in printed
    assert "--set train.max_steps=5000" in printed.splitlines()[-1]
    assert "asrlab run" in printed.splitlines()[-1]


@pytest.mark.usefixtures("no_leftovers")
def test_a_detached_job_is_watched_and_when_killed_its_log_is_shown(recipe: Write) -> None:
    words = [*COMMAND, "run", str(recipe()), "--set", "train.max_steps=5000", "--detach"]
    started = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert started.returncode == 0, started.stderr
    run = wait_for_a_step()
    assert f"asrlab watch {run.name}" in started.stderr
    with subprocess.Popen([*COMMAND, "watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        assert str(run.path) in watching.stderr.readline()
        holder = Liveness(run.lock).holder()
        assert holder is not None
        os.kill(holder.owner.pid, signal.SIGKILL)
        _, printed = watching.communicate(timeout=60)
    assert watching.returncode == 1
    assert "without a last word" in printed
    assert "_0_log.out" in printed
    assert json.loads(asrlab("runs", "--json").stdout)[0]["state"] == "dead"


def test_a_damaged_run_is_listed_as_such(recipe: Write) -> None:
    for seed in (7, 8, 9):
        create_run(load_recipe(recipe(), [f"seed={seed}"]), runs_root())
    first, second, _ = all_runs(runs_root())
    first.resolved_file.write_text("{}")
    second.events_file.write_text('{"attempt": 1, "time": 0.0, "kind": "step", "loss": 1.0}\n')
    rows = json.loads(asrlab("runs", "--json").stdout)
    assert {row["run"]: row["state"] for row in rows}[first.name] == "damaged"
    assert sorted(row["state"] for row in rows) == ["damaged", "damaged", "new"]
    listed = asrlab("runs")
    assert f"{first.name}/resolved.json is damaged: hash: missing" in listed.stderr
    assert f"{second.name}/events.jsonl is damaged: no usable step, epoch, share in a record of step" in listed.stderr
    assert len(listed.stdout.splitlines()) == 4
