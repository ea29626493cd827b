"""The benchmark runs; its figures are not judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MAIN = Path(__file__).with_name("main.py")


def run(*arguments: str, path: Path = MAIN.parent, script: Path = MAIN) -> subprocess.CompletedProcess[str]:
    folders = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": folders}
    command = [sys.executable, *([] if arguments[0] == "-c" else [str(script)]), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


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


def test_live_streams_are_measured_on_one_core() -> None:
    done = run("--only", "live_ssm_base", "--steps", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]["live_ssm_base"]
    assert [(f["chunk_ms"], f["batch"]) for f in figures] == [(c, b) for c in (80, 320) for b in (1, 16, 64)]
    for f in figures:
        assert f["streams_per_core"] * f["median_s"] == pytest.approx(f["batch"] * f["chunk_ms"] / 1000)
        assert f["p99_s"] >= f["median_s"] > 0
        assert 1 < f["state_mb"] < 3  # 9 Mamba-2 layers of 8 heads x 64 x 64 floats, 2 of attention with 70 frames


def measured(module: str, call: str) -> Any:
    """What a benchmark gives that is asked for less than `just bench` asks for."""
    code = f"import attrs, json, {module}\nprint(json.dumps({module}.{call}, default=attrs.asdict))"
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_checkpoints_are_measured_beside_cp_of_the_same_bytes() -> None:
    figures = measured("checkpoints", "bench_checkpoints(1, parameters=1_000_000)")
    assert figures["megabytes"] == pytest.approx(16, rel=0.01)
    assert figures["processes"] == 2
    assert all(figures[key] > 0 for key in figures)


@pytest.mark.prove
def test_processes_are_measured_beside_one_and_beside_the_cost_model() -> None:
    (figures,) = measured("parallel", "bench_parallel(1, processes=(2,))")
    assert figures["processes"] == 2
    assert figures["ddp_model_s"] > figures["compute_s"] < figures["fsdp_model_s"]
    assert all(figures[key] > 0 for key in figures)


@pytest.mark.prove
def test_starts_over_many_cuts_are_measured_beside_lhotse() -> None:
    figures = measured("million", "bench_million(25_000, step=200)")
    assert list(figures["starts"]) == ["first", "next"]
    assert figures["starts"]["next"]["cpu_s"] < 0.2 * figures["starts"]["first"]["cpu_s"]
    assert figures["lhotse_s"] > 0


def test_reading_is_measured_in_every_container(speech: Path) -> None:
    pytest.importorskip("pyarrow")
    figures = {f["way"]: f["ratio"] for f in measured("reading", "bench_reading(1, count=6, seconds=3)")}
    assert figures["soundfile"] == 1
    assert {"plain files", "Shar", "WebDataset", "parquet", "saved to disk"} < set(figures)
    assert all(ratio > 0.5 for ratio in figures.values())


@pytest.mark.prove
def test_the_loop_and_the_first_step_are_measured() -> None:
    figures = measured("loop", "bench_loop(1)")
    assert figures["around_s"] < 0.01 * figures["step_s"]
    assert figures["first_step_s"] > figures["torch_s"] > 0


def test_a_case_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    # Something that calls itself a peer and cannot be used.
    (tmp_path / "nemo.py").write_text("raise RuntimeError('broken beyond repair')\n")
    done = run("--only", "nemo,plan", "--json", path=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report["failed"]) == ["nemo"]
    assert "nemo" in report["failed"]["nemo"] or "broken" in report["failed"]["nemo"]
    assert report["figures"]["plan"]["cuts"] == 1_000_000
    assert "nemo failed" in done.stderr


def test_only_the_first_start_opens_every_file(tmp_path: Path) -> None:
    done = run("--files", "100", "--folder", str(tmp_path), "--json", script=MAIN.with_name("starts.py"))
    assert done.returncode == 0, done.stderr
    starts = json.loads(done.stdout)["starts"]
    assert {name: s["opened"] for name, s in starts.items()} == {"first": 100, "next": 0, "one file changed": 1}
    assert not list(tmp_path.iterdir())


def test_the_pages_show_the_committed_figures() -> None:
    done = subprocess.run(
        [sys.executable, str(MAIN.with_name("readme.py")), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
