"""`asrlab sweep` as typed: real processes train small runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from asr_lab.errors import LabError
from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.runs.find import all_runs
from asr_lab.runs.lock import Liveness
from asr_lab.runs.request import AttemptRequest
from asr_lab.runs.status import status_of
from asr_lab.training.state import fingerprint
from asr_lab.training.store import CheckpointStore
from cli.main import app

Write = Callable[..., Path]
COMMAND = [sys.executable, "-c", "from cli.main import main; main()", "sweep"]
SPLITS = "data.train[0].where.split=train,valid,none_such"
WITHOUT_TORCH = "import sys; from cli.main import app; app(standalone_mode=False); sys.exit('torch' in sys.modules)"


def sweep(*words: str) -> Result:
    return CliRunner().invoke(app, ["sweep", *words])


def bits(run: RunDirectory) -> str:
    """The hash of the last checkpoint but for the clock's part of it."""
    newest = CheckpointStore(run.checkpoints).newest()
    assert newest is not None
    del newest[1].numbers["progress"]["wall_s"]
    return fingerprint(newest[1])


def by_label(root: Path) -> dict[str, RunDirectory]:
    """Runs by what the sweep gave them."""
    return {" ".join(run.resolved().overrides): run for run in all_runs(root)}


def test_points_are_trained_side_by_side_and_a_failed_one_is_a_row(recipe: Write, tmp_path: Path) -> None:
    path = str(recipe("max_steps = 12", "max_steps = 4"))
    first = sweep(path, "--set", SPLITS, "--workers", "3", "--plot", str(tmp_path / "p.svg"))
    assert first.exit_code == 1, first.output
    assert "split=none_such: failed" in first.stdout
    assert "no best one: split=" in first.stdout
    assert "trained from one seed each" in first.stdout
    assert "the test sets were read by each of 2 finished runs; they chose nothing" in first.stdout
    assert (tmp_path / "p.svg").read_text().startswith("<svg")
    runs = by_label(runs_root())
    failed = next(run for label, run in runs.items() if "none_such" in label)
    error = status_of(failed).error
    assert error is not None
    assert error["message"].splitlines()[0] in first.stdout
    assert len({run.path.joinpath("provenance.json").exists() for run in runs.values()}) == 2  # the failed one has none
    assert len({next(run.code.iterdir()).name for run in runs.values()}) == 1
    # What is finished is not trained again, and is shown without torch.
    words = [path, "--set", SPLITS.removesuffix(",none_such"), "--json"]
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, "sweep", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["state"] for one in found["points"]] == ["finished", "finished"]
    assert [one["test_reads"] for one in found["points"]] == [1, 1]
    assert [arm["values"] for arm in found["arms"]] == [one["values"] for one in found["points"]]
    assert found["arms"][1]["vs_first"]["utterances"]["p"] == 1.0  # so few steps learn nothing
    assert found["best"] is None
    assert {status_of(run).attempt for run in runs.values()} == {1}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--set", "seed=1"), "a sweep takes a key with several values"),
        (("--set", "seed=1,,2"), "--set #1  seed: has an empty value"),
        (("--set", "encoder.dim=16,17"), "must divide encoder.dim 17"),
        (("--set", "seed=1,2", "--halving", "2"), "--halving 2 keeps one in 2, and there are 1"),
        (("--set", "seed=1,2", "--plot", "p.pdf"), "a picture is an .svg or a .png"),
        (("--set", "seed=1,2", "--plot", "absent/p.svg"), "there is no folder absent"),
        (("--set", "seed=1,2", "--set", 'init={from_="no-such"}'), "from_"),
    ],
)
def test_what_is_impossible_is_told_before_anything_is_made(recipe: Write, words: tuple[str, ...], says: str) -> None:
    found = sweep(str(recipe()), *words)
    assert isinstance(found.exception, LabError)
    assert says in str(found.exception)
    assert not runs_root().exists()


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def has_stepped(root: Path, count: int = 1) -> bool:
    return sum(status_of(run).step > 0 for run in all_runs(root)) >= count


def is_idle(root: Path) -> bool:
    return all(Liveness(run.lock).holder() is None for run in all_runs(root))


@pytest.mark.prove
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_sweep_goes_on_after_anything_with_the_bits_of_one_left_alone(
    recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    path = str(recipe("max_steps = 12", "max_steps = 200"))
    words = [*COMMAND, path, "--set", "seed=1,2,3", "--workers", "2"]
    root = runs_root()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: has_stepped(root, 2))
        process.send_signal(how)
        _, printed = process.communicate(timeout=120)
    if how == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        wait_for(lambda: is_idle(root))  # its workers save and end by themselves
    else:
        assert process.returncode == 130
        assert "go on with: asrlab sweep" in printed
        assert is_idle(root)
    stopped = {run.name: status_of(run).step for run in all_runs(root)}
    assert all(status_of(run).phase == "stopped" for run in all_runs(root))
    assert any(0 < step < 200 for step in stopped.values())
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [status_of(run).phase for run in all_runs(root)] == ["done"] * 3
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path / "alone"))
    assert subprocess.run(words, capture_output=True).returncode == 0
    alone = by_label(tmp_path / "alone")
    assert {label: bits(run) for label, run in by_label(root).items()} == {
        label: bits(run) for label, run in alone.items()
    }


@pytest.mark.prove
def test_a_killed_worker_is_a_row_and_a_point_run_elsewhere_is_waited_for(recipe: Write) -> None:
    path, root = str(recipe("max_steps = 12", "max_steps = 300")), runs_root()
    words = [*COMMAND, path, "--set", "seed=1,2", "--workers", "2"]
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other,
    ):
        wait_for(lambda: has_stepped(root, 2))
        holder = Liveness(all_runs(root)[0].lock).holder()
        assert holder is not None
        os.kill(holder.owner.pid, signal.SIGKILL)
        results = [process.communicate(timeout=400) for process in (one, other)]
    # Each run is of one of the commands; whichever sees the other's go takes it up.
    assert any("killed by SIGKILL after step" in text for pair in results for text in pair)
    assert sorted(process.returncode for process in (one, other)) in ([0, 1], [1, 1])
    assert subprocess.run(words, capture_output=True).returncode == 0
    assert [status_of(run).phase for run in all_runs(root)] == ["done"] * 2


@pytest.mark.prove
def test_halving_trains_few_to_their_end_and_those_as_if_it_were_not_there(
    recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, root = str(recipe("max_steps = 12", "max_steps = 120")), runs_root()
    words = [*COMMAND, path, "--set", "optimizer.peak_lr=3e-2,1e-2,1e-3,1e-6", "--workers", "2"]
    halved = [*words, "--halving", "2"]
    with subprocess.Popen(halved, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: has_stepped(root, 3))
        process.kill()
    wait_for(lambda: is_idle(root))
    done = subprocess.run([*halved, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    steps = {one["values"]["optimizer.peak_lr"]: (one["state"], one["step"]) for one in found["points"]}
    assert sorted(steps.values()) == [("dropped", 32), ("dropped", 32), ("dropped", 60), ("finished", 120)]
    assert "at 25% of the training, 4 of 4; 2 went on" in [one["reason"] for one in found["points"]]
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path / "alone"))
    assert subprocess.run(words, capture_output=True).returncode == 0
    alone = by_label(tmp_path / "alone")
    (label,) = (label for label, run in by_label(root).items() if status_of(run).phase == "done")
    assert bits(by_label(root)[label]) == bits(alone[label])
    assert AttemptRequest.read(alone[label]).pause_share is None
