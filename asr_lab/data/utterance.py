"""An utterance as the data layer sees it: where its audio is, and what was said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import attrs
from torch import Tensor

from asr_lab.nn.decoding import Targets


@attrs.frozen(slots=True)
class Utterance:
    """One stretch of one channel of a recording, with its transcript. Audio stays on disk."""

    id: str
    audio: str
    """Path of the file."""
    duration_s: float | None
    """Length in seconds; None = not known until the header is read."""
    text: str
    start_s: float = 0.0
    channel: int | None = None
    """None = as `data.channel` says."""
    columns: dict[str, Any] = attrs.field(factory=dict)
    """Everything else the manifest says: `speaker`, `language`, `split`, …"""
    file_s: float | None = None
    """Length of the whole file that the manifest declares, in seconds; checked against the header."""


class BadCut(NamedTuple):
    """An utterance that cannot be used, and why."""

    id: str
    audio: str
    reason: str


@attrs.frozen
class Source:
    """What a dataset gives: utterances, and those it could not make sense of.

    `bad` is whole once `utterances` was read to its end.
    """

    utterances: Iterable[Utterance]
    bad: Sequence[BadCut] = ()


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
