"""Audio for the small run, and a model that says something of it without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.runs.directory import RunDirectory
from asr_lab.streaming import WHOLE, Frames, run_whole

RATE = 8000
SPACE, OTHER = 2, 22
ATTENTION = ('type = "ctc"', 'type = "attention"\nnum_layers = 1\nnum_heads = 2\nmax_tokens = 8')
Make = Callable[..., RunDirectory]


def melody(duration_s: float, seed: int = 0) -> np.ndarray:
    """Tones of a fifth of a second, some of them silent."""
    rng = np.random.default_rng(seed)
    time = np.arange(RATE // 5) / RATE
    tones = [rng.integers(0, 5) / 12 * np.sin(2 * np.pi * rng.uniform(200, 3000) * time) for _ in range(1000)]
    audio = np.concatenate(tones)[: round(duration_s * RATE)] + rng.normal(0, 0.003, round(duration_s * RATE))
    return np.round(audio * 32768).astype(np.int16)


@torch.no_grad()
def make_talkative(model: SpeechModel, features: Any) -> None:
    """Let a CTC decoder that was never trained give many tokens, spaces among them."""
    head = model.heads[0]
    if not isinstance(head, CTCHead):
        return
    samples = torch.from_numpy(melody(6) / 32768).float()[None]
    frames = model.eval().encode(run_whole(features, Frames.whole(samples), WHOLE), WHOLE)[0].x[0]
    head.output.weight.normal_(0, 5, generator=torch.Generator().manual_seed(0))
    head.output.weight[[SPACE, OTHER]] = head.output.weight[[OTHER, SPACE]]
    head.output.bias.copy_(-(head.output.weight @ head.norm(frames).mean(0)))


def write(path: Path, audio: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, audio, rate, subtype="PCM_16")
    return path
