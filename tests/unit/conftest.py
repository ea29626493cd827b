"""Fixtures of several folders: a small recipe over recordings made on the spot, and a made-up recogniser.

Makes the modules beside the tests of recognition (`spelling`, `made_up`) and runs (`accidents`, `machines`)
importable.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.decoder import DecoderHead
from asr_lab.streaming import WHOLE, Chain, Context, Frames, Streamable
from asr_lab.text.characters import CharacterTokenizer

sys.path.insert(0, str(Path(__file__).parent / "recognition"))
sys.path.insert(0, str(Path(__file__).parent / "runs"))

from made_up import EverySecond

VOCAB = 32
HOP_SAMPLES = 10


@attrs.frozen
class MadeUp:
    """At 1000 samples a second: a feature frame every 10 ms, one of the encoder's every 20 ms."""

    model: SpeechModel
    features: Streamable[Any]
    vocabulary: CharacterTokenizer
    sample_rate: int = 1000

    def sample_of(self, token: int) -> float:
        """What a sample is while this token is spoken."""
        return token / VOCAB


class FirstSampleIsToken(Streamable[tuple[()]]):
    """Features of every tenth sample that say which token it is."""

    ratio = Fraction(1, HOP_SAMPLES)

    def hop_frames(self, context: Context) -> int:
        return HOP_SAMPLES

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        tokens = (chunk.valid()[:, ::HOP_SAMPLES] * VOCAB).round().long()
        return state, Frames(F.one_hot(tokens, VOCAB).float(), chunk.lengths // HOP_SAMPLES, chunk.final)


@pytest.fixture
def made_up() -> Callable[..., MadeUp]:
    """A recogniser with these decoders, in this order: `made_up("attention", "ctc")`."""

    def make(*kinds: str) -> MadeUp:
        ctc = CTCHead(VOCAB, VOCAB)
        with torch.no_grad():
            ctc.output.weight.copy_(torch.eye(VOCAB))
            ctc.output.bias.zero_()
        other = DecoderHead()
        other.kind = "attention"
        heads = [ctc if kind == "ctc" else other for kind in kinds]
        taps = [1] * len(heads)
        model = SpeechModel(Chain([EverySecond()]), heads, [1.0] * len(heads), taps, [(WHOLE, 1.0)], VOCAB)
        return MadeUp(model, FirstSampleIsToken(), CharacterTokenizer())

    return make


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


@pytest.fixture(scope="session")
def recipe_text() -> str:
    """The small recipe, for fixtures that outlive a test."""
    return RECIPE


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
