"""A batch of utterances as features, the one way for training and scoring."""

from __future__ import annotations

from typing import Any

import torch

from asr_lab.data.batch import Batch
from asr_lab.streaming import Frames, Streamable


def batch_features(features: Streamable[Any], batch: Batch, device: torch.device | str) -> Frames:
    """The features (B, T, F) of a batch's utterances, each computed whole."""
    audio = batch.audio.to(device, non_blocking=True)
    return features.recordings(audio, batch.audio_lengths)
