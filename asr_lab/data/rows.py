"""A microbatch as workers make it: numpy arrays, padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from asr_lab.audio.resampling import Audio
from asr_lab.data.utterance import BadCut, Batch
from asr_lab.nn.decoding import Targets


class Row(NamedTuple):
    """One utterance of a batch, as a worker makes it."""

    audio: Audio  # (S,)
    tokens: Sequence[int]
    id: str
    key: int
    text: str


class Rows(NamedTuple):
    """A microbatch on its way between processes."""

    audio: NDArray[np.float32]  # (B, S)
    audio_lengths: NDArray[np.int64]  # (B,)
    tokens: NDArray[np.int64]  # (B, U)
    token_lengths: NDArray[np.int64]  # (B,)
    ids: tuple[str, ...]
    keys: tuple[int, ...]
    texts: tuple[str, ...]
    bad: tuple[BadCut, ...]

    def batch(self) -> Batch:
        """As tensors."""
        targets = Targets(torch.from_numpy(self.tokens), torch.from_numpy(self.token_lengths))
        audio, lengths = torch.from_numpy(self.audio), torch.from_numpy(self.audio_lengths)
        return Batch(audio, lengths, targets, self.ids, self.keys, self.texts)


def stack(rows: Sequence[Row], bad: Sequence[BadCut]) -> Rows:
    """Pad utterances to one length."""
    audio, lengths = padded([r.audio for r in rows])
    token_lengths = np.array([len(r.tokens) for r in rows], dtype=np.int64)
    tokens = np.zeros((len(rows), token_lengths.max(initial=0)), dtype=np.int64)
    for place, row in enumerate(rows):
        tokens[place, : len(row.tokens)] = row.tokens
    names = (tuple(r.id for r in rows), tuple(r.key for r in rows), tuple(r.text for r in rows))
    return Rows(audio, lengths, tokens, token_lengths, *names, tuple(bad))


def padded(audios: Sequence[Audio]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Waveforms in one array (B, S), zeros behind them, and their lengths (B,)."""
    lengths = np.array([len(audio) for audio in audios], dtype=np.int64)
    waveforms = np.zeros((len(audios), lengths.max(initial=0)), dtype=np.float32)
    for place, audio in enumerate(audios):
        waveforms[place, : len(audio)] = audio
    return waveforms, lengths
