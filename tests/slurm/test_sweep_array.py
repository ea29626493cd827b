"""`asrlab sweep` on a real SLURM: an array that goes on without its command."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import pytest
from slurm_lab import PATIENCE_S, Lab

from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.find import all_runs
from asr_lab.runs.status import status_of

GRID = ("--set", "seed=301,302,303", "--set", 'launch={type="slurm", timeout_min=20, array_parallelism=2}')


def runs_of(lab: Lab, steps: int) -> list[RunDirectory]:
    """The runs that such a sweep made."""
    return [r for r in all_runs(lab.folder / "runs") if f"train.max_steps={steps}" in r.resolved().overrides]


@pytest.mark.prove
def test_a_grid_is_one_array_that_a_killed_command_follows_again(lab: Lab) -> None:
    steps = int(time.time()) % 1000 + 200  # of this test's own: the folder is shared
    words = ["sweep", "tiny.toml", *GRID, "--set", f"train.max_steps={steps}"]
    command = [sys.executable, "-m", "cli.main", *words]
    with subprocess.Popen(command, cwd=lab.folder, env=lab.environ, stdout=subprocess.PIPE) as following:
        deadline = time.monotonic() + PATIENCE_S
        while not any(status_of(run).step for run in runs_of(lab, steps)):
            assert time.monotonic() < deadline, lab.cluster.output("squeue")
            time.sleep(0.2)
        following.send_signal(signal.SIGKILL)
    jobs = [lab.job(run) for run in runs_of(lab, steps)]
    (array,) = {job.partition("_")[0] for job in jobs}
    assert sorted(jobs) == [f"{array}_{n}" for n in range(3)]
    shown = lab.cluster.output("scontrol", "show", "job", "-o", array)
    assert "ArrayTaskThrottle=2" in shown
    done = lab.asrlab(*words, "--json")
    found = json.loads(done.stdout)
    assert [one["state"] for one in found["points"]] == ["finished"] * 3
    assert found["arms"][0]["valid"]["count"] == 3
    assert [lab.job(run) for run in runs_of(lab, steps)] == jobs  # none was submitted again
    assert {status_of(run).attempt for run in runs_of(lab, steps)} == {1}


@pytest.mark.prove
def test_a_job_that_is_cancelled_is_a_row_and_the_rungs_of_halving_are_arrays(lab: Lab) -> None:
    steps = int(time.time()) % 1000 + 1300
    grid = ["--set", "optimizer.peak_lr=1e-2,1e-3,1e-4,1e-5", *GRID[2:], "--set", f"train.max_steps={steps}"]
    words = ["sweep", "tiny.toml", *grid, "--set", f"train.valid_every_steps={steps // 4}", "--halving", "2", "--json"]
    command = [sys.executable, "-m", "cli.main", *words]
    with subprocess.Popen(command, cwd=lab.folder, env=lab.environ, stdout=subprocess.PIPE, text=True) as following:
        deadline = time.monotonic() + PATIENCE_S
        while len(runs_of(lab, steps)) < 4 or not status_of(runs_of(lab, steps)[3]).phase:
            assert time.monotonic() < deadline, lab.cluster.output("squeue")
            time.sleep(0.2)
        lab.asrlab("cancel", runs_of(lab, steps)[3].name, "--now")
        printed, _ = following.communicate(timeout=2 * PATIENCE_S)
    assert following.returncode == 1, printed
    points = json.loads(printed)["points"]
    assert sorted(one["state"] for one in points) == ["dropped", "dropped", "failed", "finished"]
    (failed,) = [one for one in points if one["state"] == "failed"]
    assert re.search(r"its job \d+_\d: CANCELLED|stopped by", failed["reason"])
