"""A microbatch: as workers make it, padded numpy arrays, and as the model takes it, tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_lab.audio.resampling import Audio
from asr_lab.data.utterance import BadCut
from asr_lab.nn.decoder import Targets


class Batch(NamedTuple):
    """One microbatch, on its way from the workers to the model."""

    audio: Tensor  # (B, S) float32, zeros in the padding
    audio_lengths: Tensor  # (B,) int64, samples
    targets: Targets
    ids: tuple[str, ...]
    keys: tuple[int, ...]
    """A 64-bit number per utterance from (seed, epoch, utterance): what its augmentation is drawn from."""
    texts: tuple[str, ...]
    """Normalised transcripts."""

    def utterances(self) -> list[Batch]:
        """Each utterance as a batch of its own, without padding."""
        lengths, counts = self.audio_lengths.tolist(), self.targets.lengths.tolist()
        return [
            Batch(
                self.audio[row : row + 1, : lengths[row]],
                self.audio_lengths[row : row + 1],
                Targets(
                    self.targets.tokens[row : row + 1, : counts[row]],
                    self.targets.lengths[row : row + 1],
                    None if self.targets.languages is None else self.targets.languages[row : row + 1],
                ),
                self.ids[row : row + 1],
                self.keys[row : row + 1],
                self.texts[row : row + 1],
            )
            for row in range(len(self.ids))
        ]


class BatchRow(NamedTuple):
    """One utterance of a batch, as a worker makes it."""

    audio: Audio  # (S,)
    tokens: Sequence[int]
    id: str
    key: int
    text: str
    language: int = 0
    """Its place among the languages that a decoder names; 0 where none names any."""


class BatchRows(NamedTuple):
    """A microbatch on its way between processes."""

    audio: NDArray[np.float32]  # (B, S)
    audio_lengths: NDArray[np.int64]  # (B,)
    tokens: NDArray[np.int64]  # (B, U)
    token_lengths: NDArray[np.int64]  # (B,)
    languages: NDArray[np.int64]  # (B,)
    ids: tuple[str, ...]
    keys: tuple[int, ...]
    texts: tuple[str, ...]
    bad: tuple[BadCut, ...]

    def batch(self) -> Batch:
        """As tensors."""
        targets = Targets(*(torch.from_numpy(one) for one in (self.tokens, self.token_lengths, self.languages)))
        audio, lengths = torch.from_numpy(self.audio), torch.from_numpy(self.audio_lengths)
        return Batch(audio, lengths, targets, self.ids, self.keys, self.texts)


def stack(rows: Sequence[BatchRow], bad: Sequence[BadCut]) -> BatchRows:
    """Pad utterances to one length."""
    audio, lengths = padded([r.audio for r in rows])
    token_lengths = np.array([len(r.tokens) for r in rows], dtype=np.int64)
    tokens = np.zeros((len(rows), token_lengths.max(initial=0)), dtype=np.int64)
    for place, row in enumerate(rows):
        tokens[place, : len(row.tokens)] = row.tokens
    names = (tuple(r.id for r in rows), tuple(r.key for r in rows), tuple(r.text for r in rows))
    languages = np.array([r.language for r in rows], dtype=np.int64)
    return BatchRows(audio, lengths, tokens, token_lengths, languages, *names, tuple(bad))


def padded(audios: Sequence[Audio]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Waveforms in one array (B, S), zeros behind them, and their lengths (B,)."""
    lengths = np.array([len(audio) for audio in audios], dtype=np.int64)
    waveforms = np.zeros((len(audios), lengths.max(initial=0)), dtype=np.float32)
    for place, audio in enumerate(audios):
        waveforms[place, : len(audio)] = audio
    return waveforms, lengths
