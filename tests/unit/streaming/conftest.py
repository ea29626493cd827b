"""Real recordings, and small encoders from the waveform up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_lab.audio.reading import read_audio
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.macaron import Macaron
from asr_lab.slots.blocks.mamba2 import Mamba2
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.stems.depthwise_stride import DepthwiseStride
from asr_lab.slots.stems.whisper_conv import WhisperConv
from asr_lab.streaming import Chain

RATE = 8000
Encoder = Callable[[Literal["ssm", "conformer"]], Chain]


@pytest.fixture(scope="session")
def digits(speech: Path) -> list[Tensor]:
    """Spoken digits, (S,) float64 at 8 kHz, in a shuffled order."""
    files = sorted((speech / "fsdd" / "recordings").glob("*.wav"))
    order = np.random.default_rng(0).permutation(len(files))[:400]
    return [torch.from_numpy(read_audio(files[i], RATE)).double() for i in order]


@pytest.fixture
def encoder() -> Encoder:
    """Builds an encoder with drawn weights in double precision: features, stem, and a block or two."""

    def build(kind: Literal["ssm", "conformer"]) -> Chain:
        torch.manual_seed(0)
        stem = DepthwiseStride(factor=4, channels=8) if kind == "ssm" else WhisperConv(causal=False)
        level: Literal["running", "none"] = "running" if kind == "ssm" else "none"
        features = LogMel(sample_rate=RATE, num_mels=20, level=level).build()
        attention = Macaron(mixer=Attention(num_heads=2)).build(32, 0.0)
        mixed = Macaron(mixer=Mamba2(state_dim=8, head_dim=16)).build(32, 0.0) if kind == "ssm" else attention
        return Chain([features, stem.build(20, 32), mixed, attention]).double().eval()

    return build
