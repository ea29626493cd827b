"""What `asrlab doctor` finds: packages in each state, SLURM in each state, and a step in each number format."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr_lab.commands import doctor
from asr_lab.commands.doctor import Package
from asr_lab.number_formats import FORMATS
from cli.main import app

THERE = Package("numpy", "numpy", "sums", "uv sync")
ABSENT = Package("no-such-package", "no_such_package", "nothing", "uv sync --extra none")
BROKEN = Package("broken-package", "no_such_module", "nothing", "uv sync")
OF_GPUS = Package("gpu-package", "no_such_module", "kernels", "uv sync", needs_gpu=True)


@pytest.fixture(autouse=True)
def few_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        return "1.0" if name in (BROKEN.name, OF_GPUS.name) else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(doctor, "PACKAGES", (THERE, ABSENT, BROKEN, OF_GPUS))
    monkeypatch.setattr(doctor, "local_gpu", lambda: None)


def test_packages_load_are_absent_broken_or_not_tried_and_a_broken_one_is_told_by_the_exit() -> None:
    told = CliRunner().invoke(app, ["doctor"])
    assert told.exit_code == 1, told.output
    found = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    states = {one["name"]: one["state"] for one in found["packages"]}
    assert states == {
        THERE.name: "loads",
        ABSENT.name: "absent",
        BROKEN.name: "broken",
        OF_GPUS.name: "not tried without a GPU",
    }
    assert "no-such-package: uv sync --extra none" in told.stdout
    assert "broken-package does not load: ModuleNotFoundError: No module named 'no_such_module'" in told.stdout
    assert [one["name"] for one in found["steps"]] == list(FORMATS)
    assert {one["outcome"] for one in found["steps"]} <= {"runs", "emulated"}
    assert {one["what"] for one in found["storage"]} == {"runs", "data", "cache"}


def write_command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("commands", "says"),
    [
        ({}, "absent; asrlab run --dry-run"),
        ({"sbatch": "", "sinfo": "exit 1"}, "no controller answers"),
        ({"sbatch": "", "sinfo": "echo 'low up, 2 nodes'", "sacct": "exit 1"}, "without accounting: low up, 2 nodes"),
        ({"sbatch": "", "sinfo": "echo 'low up, 2 nodes'", "sacct": ""}, "with accounting: low up, 2 nodes"),
    ],
)
def test_slurm_is_absent_silent_or_there(
    commands: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, script in commands.items():
        write_command(tmp_path, name, script)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert says in doctor.slurm_state()


def test_every_package_that_an_extra_brings_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    extras = set(importlib.metadata.metadata("asr-lab").get_all("Provides-Extra") or ())
    for extra in extras - {"dev", "reproducible"}:  # the last is empty: RepDL is built from its sources
        assert any(f"--extra {extra}" in package.install for package in doctor.PACKAGES), extra
