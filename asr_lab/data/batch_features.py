"""A batch of utterances as features, the one way for training and scoring."""

from __future__ import annotations

from typing import Any

import torch

from asr_lab.data.batch import Batch
from asr_lab.streaming import WHOLE, Frames, Streamable, run_whole


def batch_features(features: Streamable[Any], batch: Batch, device: torch.device | str) -> Frames:
    """The features (B, T, F) of a batch's utterances, each computed whole."""
    audio = batch.audio.to(device, non_blocking=True)
    return run_whole(features, Frames.whole(audio, batch.audio_lengths.to(device, non_blocking=True)), WHOLE)
