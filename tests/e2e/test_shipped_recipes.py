"""Every shipped recipe at full depth, narrow, on real speech: it learns, is killed, goes on, and transcribes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli
from narrow_width import narrow_width

from asr_lab.runs.events import read_events
from asr_lab.runs.find import all_runs
from asr_lab.training.metrics import read_metrics

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path.stem for path in (ROOT / "recipes").glob("*.toml"))
IN_EVERY_RUN = {"conformer_tiny", "ssm_tiny", "whisper_tiny"}
"""One of each family; the others are proofs."""
ASRLAB = (sys.executable, "-m", "cli.main")
NUM_UTTERANCES = 24
NUM_STEPS = 30
SAVED_STEP = 12
DIM = 64


@pytest.fixture
def prompts(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Two dozens of English prompts of one to three seconds, under ASRLAB_DATA."""
    with (speech / "asterisk-prompts-5lang" / "manifest.tsv").open(newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if row["language"] == "en"
            and 1 <= float(row["duration_s"]) <= 3
            and not set(row["text"]) & set("0123456789")
        ][:NUM_UTTERANCES]
    folder = tmp_path / "data" / "prompts"
    (folder / "en").mkdir(parents=True)
    for row in rows:
        shutil.copyfile(speech / "asterisk-prompts-5lang" / row["audio"], folder / row["audio"])
    lines = ["id\taudio\ttext", *(f"{row['id']}\t{row['audio']}\t{row['text']}" for row in rows)]
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("ASRLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert len(rows) == NUM_UTTERANCES
    return rows


def narrow(name: str) -> list[str]:
    """The overrides that leave a recipe its depth, and take its width, its batch and its data."""
    recipe = tomli.loads((ROOT / "recipes" / f"{name}.toml").read_text())
    data = '[{ name = "prompts", type = "folder", path = "prompts" }]'
    changed = {
        "train.batch_s": 16,
        "train.max_steps": NUM_STEPS,
        "train.save_every_steps": SAVED_STEP,
        "train.valid_every_steps": NUM_STEPS,
        "schedule.warmup_steps": 3,
        "data.train": data,
        "data.valid": data,
        "data.test": "[]",
        "data.num_workers": 0,
        "score.bootstrap": 100,
    }
    if "temperature" in recipe["data"]:
        changed["data.temperature"] = 1.0
    changed |= narrow_width(recipe, DIM)
    return [word for key, value in changed.items() for word in ("--set", f"{key}={value}")]


def kill_after_a_checkpoint(command: list[str]) -> None:
    """Start a run, and end it by SIGKILL once its first checkpoint is whole."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            while not any(all_runs(Path(os.environ["ASRLAB_RUNS"]))) or not _is_saved():
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.02)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


def _is_saved() -> bool:
    (run,) = all_runs(Path(os.environ["ASRLAB_RUNS"]))
    return any(run.checkpoints.glob("step-*"))


@pytest.mark.parametrize(
    "name", [name if name in IN_EVERY_RUN else pytest.param(name, marks=pytest.mark.prove) for name in SHIPPED]
)
def test_a_shipped_recipe_learns_is_killed_goes_on_and_transcribes(
    name: str, prompts: list[dict[str, str]], tmp_path: Path
) -> None:
    command = [*ASRLAB, "run", f"recipes/{name}.toml", *narrow(name)]
    kill_after_a_checkpoint(command)
    resumed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert resumed.returncode == 0, resumed.stderr
    assert "goes on from step" in resumed.stderr
    (run,) = all_runs(tmp_path / "runs")
    assert max(event.attempt for event in read_events(run.events_file)) == 2
    steps = list(read_metrics(run.metrics_file))
    assert [step["step"] for step in steps] == list(range(1, NUM_STEPS + 1))
    losses = [step["loss"] for step in steps]
    assert sum(losses[-5:]) < sum(losses[:5])
    recording = tmp_path / "data" / "prompts" / prompts[0]["audio"]
    words = [*ASRLAB, "transcribe", str(recording), "--run", str(run.path), "--json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    assert record["file"] == str(recording)
    assert isinstance(record["text"], str)
