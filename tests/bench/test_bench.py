"""The benchmark runs; its figures are not judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = Path(__file__).with_name("main.py")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, str(MAIN), *arguments], env=env, capture_output=True, text=True, check=False)


def test_a_training_step_is_measured_with_its_costs() -> None:
    done = run("--only", "hf_twin", "--steps", "1", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    figures = report["figures"]["hf_twin"]
    assert report["environment"]["threads"] == 1
    assert 5e6 < figures["parameters"] < 5.5e6
    assert figures["audio_s_per_s"] * figures["step_s"] == pytest.approx(80)
    assert 100 < figures["peak_mb"] < 8000
    # 5M parameters in matrices, 1000 frames, forward and twice that backward.
    assert figures["flops"] > 6 * 4.5e6 * 1000
    assert figures["peak_flops_per_s"] > 1e9 < figures["own_flops_per_s"]


def test_an_unknown_case_is_named() -> None:
    done = run("--only", "plan,nonsense")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert run("--profile", "plan").returncode == 2
