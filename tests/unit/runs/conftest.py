"""A small recipe over recordings made on the spot, and a place for its runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

RECIPE = """
name = "tiny"
seed = 7

[features]
type = "log_mel"
sample_rate = 8000
convention = "nemo"
floor = "fixed"
num_mels = 16

[tokenizer]
type = "chars"

[encoder]
dim = 16
stem = { type = "depthwise_stride", factor = 4, channels = 8, causal = true }
contexts = [{ chunk_ms = 320, left_ms = 640 }, { chunk = "whole" }]
stack = [{ blocks = ["conf"] }]
block.conf = { type = "macaron", mixer = { type = "attention", num_heads = 2 }, conv = { kernel_frames = 3 } }

[[decoder]]
type = "ctc"

[[augment]]
type = "speed"
factors = [0.9, 1.0, 1.1]
[[augment]]
type = "noise"
[[augment]]
type = "spec_augment"

[optimizer]
type = "adamw"
peak_lr = 3e-3

[data]
num_workers = 0
train = [{ name = "tones", type = "folder", path = "tones", where = { split = "train" } }]
valid = [{ name = "tones", type = "folder", path = "tones", where = { split = "valid" } }]
test = [{ name = "tones", type = "folder", path = "tones", where = { split = "test" } }]

[train]
max_steps = 12
batch_s = 6
valid_every_steps = 4
average_decay = 0.9

[parallel]
type = "single"
max_rank_batch_s = 3
"""
WORDS = {"one": 400, "two": 700, "three": 1100, "four": 1600}


def write_tones(folder: Path, num_recordings: int = 36, rate: int = 8000) -> None:
    """Recordings of two tones each, a word a tone, and their table."""
    import soundfile

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["id\taudio\ttext\tsplit\tspeaker"]
    for number in range(num_recordings):
        words = rng.choice(list(WORDS), 2).tolist()
        parts = [np.sin(2 * np.pi * WORDS[w] * np.arange(int(0.4 * rate)) / rate) for w in words]
        audio = 0.3 * np.concatenate(parts) + rng.normal(0, 0.01, 2 * int(0.4 * rate))
        soundfile.write(folder / f"{number}.wav", audio, rate)
        split = ("train", "train", "train", "train", "valid", "test")[number % 6]
        lines.append(f"t{number}\t{number}.wav\t{' '.join(words)}\t{split}\ts{number % 3}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the folder `tones`."""
    root = tmp_path_factory.mktemp("data")
    write_tones(root / "tones")
    return root


@pytest.fixture
def recipe(tmp_path: Path, tones: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes the small recipe, changed as asked: `recipe("seed = 7", "seed = 8")`; runs go to `tmp_path/runs`."""
    monkeypatch.setenv("ASRLAB_DATA", str(tones))
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path / "runs"))

    def write(*replacements: str, name: str = "tiny.toml") -> Path:
        text = RECIPE
        for old, new in zip(replacements[::2], replacements[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
