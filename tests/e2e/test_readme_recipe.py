"""The README's recipe for a corpus of one's own, as it stands there, on 12 minutes of real digits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
HELD_OUT = ["*_45", "*_46", "*_47", "*_48", "*_49"]
"""A tenth of fsdd's train split, by the recording's number."""


def digits(**where: object) -> str:
    conditions = ", ".join(f"{key} = {json.dumps(value)}" for key, value in where.items())
    return f'[{{ type = "folder", path = "fsdd", where = {{ {conditions} }} }}]'


@pytest.mark.prove
def test_the_readmes_recipe_learns_twelve_minutes_of_digits(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", README.read_text(), re.M | re.S)
    recipe = tmp_path / "my_first.toml"
    recipe.write_text(text)
    monkeypatch.setenv("ASRLAB_DATA", str(speech))
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path / "runs"))
    overrides = {
        "data.train": digits(split="train", id=[f"!{pattern}" for pattern in HELD_OUT]),
        "data.valid": digits(split="train", id=HELD_OUT),
        "data.test": digits(split="test"),
    }
    command = [sys.executable, "-m", "cli.main", "run", str(recipe), "--json"]
    command += [part for key, value in overrides.items() for part in ("--set", f"{key}={value}")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=7200)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    wer = result["test"]["rates"]["wer"]["value"]
    print(
        f"WER {wer:.1%} over {result['test']['utterances']} digits, {result['step']} steps, best {result['best_step']}"
    )
    assert result["test"]["utterances"] == 200
    assert wer < 0.30
