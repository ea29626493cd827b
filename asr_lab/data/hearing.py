"""A batch of utterances as features, the one way for training and scoring."""

from __future__ import annotations

from typing import Any

import torch

from asr_lab.audio.features import MelSpectrogramExtractor
from asr_lab.data.utterance import Batch
from asr_lab.streaming import WHOLE, Frames, Streamable, run_whole


def batch_features(features: Streamable[Any], batch: Batch, device: torch.device | str) -> Frames:
    """The features (B, T, F) of a batch's utterances, each heard whole.

    Where the batch brings other recordings of its speakers, and the features can use them, those were heard before.
    """

    def heard(audio: torch.Tensor, lengths: torch.Tensor) -> Frames:
        return Frames.whole(audio.to(device, non_blocking=True), lengths.to(device, non_blocking=True))

    audio = heard(batch.audio, batch.audio_lengths)
    if isinstance(features, MelSpectrogramExtractor) and batch.others is not None and batch.others_lengths is not None:
        return features(features.acquainted_state(heard(batch.others, batch.others_lengths)), audio, WHOLE)[1]
    return run_whole(features, audio, WHOLE)
