"""A small finished run over recordings made on the spot, which cases copy and damage."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

RECIPE = """
name = "small"
[features]
type = "log_mel"
sample_rate = 8000
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
[optimizer]
type = "adamw"
peak_lr = 3e-3
[data]
num_workers = 0
train = [{ name = "tones", type = "folder", path = "tones", where = { split = "train" } }]
valid = [{ name = "tones", type = "folder", path = "tones", where = { split = "valid" } }]
test = [{ name = "tones", type = "folder", path = "tones", where = { split = "test" } }]
[train]
max_steps = 4
batch_s = 6
valid_every_steps = 2
[parallel]
type = "single"
max_rank_batch_s = 6
"""
WORDS = {"one": 400, "two": 700, "three": 1100}


@attrs.frozen
class SmallRun:
    """The folder with data, recipe and runs, and the run in it."""

    folder: Path
    run: Path

    @property
    def recipe(self) -> Path:
        """What it was trained by."""
        return self.folder / "small.toml"

    def words(self, run: Path) -> dict[str, str]:
        """What stands for the words in capitals of a command."""
        readme = self.folder / "README.md"
        readme.write_text("# Figures\n")
        return {
            "RUN": str(run),
            "RECIPE": str(self.recipe),
            "AUDIO": str(self.folder / "data" / "tones" / "0.wav"),
            "DATA": str(self.folder / "data" / "tones"),
            "README": str(readme),
            "OUT": str(self.folder / "out"),
        }


def small_run(folder: Path) -> SmallRun:
    """Make recordings, train, and score; `ASRLAB_DATA`, `_RUNS` and `_CACHE` point into the folder afterwards."""
    from cli.main import app

    tones = folder / "data" / "tones"
    write_tones(tones)
    for name in ("data", "runs", "cache"):
        os.environ[f"ASRLAB_{name.upper()}"] = str(folder / name)
    (folder / "small.toml").write_text(RECIPE)
    app(["run", str(folder / "small.toml")], standalone_mode=False)
    (run,) = (folder / "runs").iterdir()
    return SmallRun(folder, run)


def write_tones(folder: Path, rate: int = 8000) -> None:
    """Make recordings of two words each, and their manifest."""
    import numpy as np
    import soundfile

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["id\taudio\ttext\tsplit\tspeaker"]
    for number in range(18):
        words = rng.choice(list(WORDS), 2).tolist()
        times = np.arange(int(0.4 * rate)) / rate
        audio = 0.3 * np.concatenate([np.sin(2 * np.pi * WORDS[w] * times) for w in words])
        soundfile.write(folder / f"{number}.wav", audio, rate)
        split = ("train", "train", "train", "train", "valid", "test")[number % 6]
        lines.append(f"t{number}\t{number}.wav\t{' '.join(words)}\t{split}\ts{number % 3}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
