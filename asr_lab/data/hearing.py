"""A batch of utterances as features, the one way for training and scoring."""

from __future__ import annotations

from typing import Any

import torch

from asr_lab.audio.features import MelSpectrogramExtractor
from asr_lab.audio.resampling import at_speed
from asr_lab.data.rows import padded
from asr_lab.data.utterance import Batch
from asr_lab.streaming import WHOLE, Frames, Streamable, run_whole


def batch_features(features: Streamable[Any], batch: Batch, device: torch.device | str, speed: float = 1.0) -> Frames:
    """The features (B, T, F) of a batch's utterances, each heard whole, played at `speed` (pitch included).

    Where the batch brings other recordings of its speakers, and the features can use them, those were heard before.
    """

    def heard(audio: torch.Tensor, lengths: torch.Tensor) -> Frames:
        audio, lengths = played(audio, lengths, speed)
        return Frames.whole(audio.to(device, non_blocking=True), lengths.to(device, non_blocking=True))

    audio = heard(batch.audio, batch.audio_lengths)
    if isinstance(features, MelSpectrogramExtractor) and batch.others is not None:
        others = [torch.from_numpy(at_speed(samples.numpy(), speed)) for samples in batch.others_by_row()]
        known = features.acquainted_state([samples.to(device, non_blocking=True) for samples in others])
        return features(known, audio, WHOLE)[1]
    return run_whole(features, audio, WHOLE)


def played(audio: torch.Tensor, lengths: torch.Tensor, speed: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Recordings (B, S) of lengths (B,), on the CPU, played at a speed: (B, S'), zeros behind them, and (B,)."""
    if speed == 1.0:
        return audio, lengths
    rows = [at_speed(row[:length].numpy(), speed) for row, length in zip(audio, lengths.tolist(), strict=True)]
    waveforms, sped = padded(rows)
    return torch.from_numpy(waveforms), torch.from_numpy(sped)
