"""The utterances of some datasets in compact arrays: a million take little more than their texts."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.keyed_random import Keys
from asr_lab.data.packed import Strings
from asr_lab.data.utterance import BadCut, Joining, UnreadableUtterance

MIX = -1
"""The channel that stands for the mean of all."""


class Part(NamedTuple):
    """One dataset's settings, as the utterances that came from it need them."""

    label: str
    weight: float
    join: Joining | None


@attrs.frozen(eq=False)
class Cuts:
    """Usable utterances of some datasets; N of them, in the datasets' order."""

    ids: Strings
    audio: Strings
    """Paths."""
    texts: Strings
    """Transcripts as they stand in the manifests."""
    start_s: NDArray[np.float64]  # (N,)
    duration_s: NDArray[np.float64]  # (N,)
    whole: NDArray[np.bool_]  # (N,) read to the end of the file, however long that is to the sample
    channel: NDArray[np.int16]  # (N,) -1 = mean of all
    part: NDArray[np.int16]  # (N,) which of `parts` it came from
    group: NDArray[np.int64]  # (N,) equal where the column that `join` looks at agrees
    keys: Keys  # (N,) 64 bits of id, channel and part
    language: NDArray[np.int32]  # (N,) which of `languages` it is of
    languages: tuple[str, ...]
    """As the column `language` has them, "" where it is empty; ("",) where `read_cuts` was not asked to tell them."""
    columns: tuple[dict[str, Any], ...]
    """Every other column of each utterance; empty where `read_cuts` was not asked to keep them."""
    parts: tuple[Part, ...]
    refused: tuple[UnreadableUtterance, ...]
    """The bad ones with what their rows tell of them; empty unless `read_cuts` keeps columns."""
    bad: tuple[BadCut, ...]
    fingerprint: str
    """Hash of everything above and of what the files hold (`content_of`), hexadecimal."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def total_s(self) -> float:
        """Seconds of audio."""
        return float(self.duration_s.sum())
