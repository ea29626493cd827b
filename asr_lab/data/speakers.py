"""Who spoke: other recordings of an utterance's speaker, for features that are normalised over the speaker."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.draws import generator
from asr_lab.audio.reading import AudioError
from asr_lab.audio.resampling import Audio
from asr_lab.data.reader import AudioReader
from asr_lab.units import s_to_samples

MAX_OTHERS = 1000
"""Recordings that are looked at for one utterance, at most."""
_SALT = 0x5BEA


class Speakers:
    """Draws up to `seconds` of other recordings of a speaker, from the utterance's own key.

    `rows` (N,) of the reader's cuts are those to draw from. ValueError when the cuts don't say who spoke.
    """

    def __init__(self, reader: AudioReader, rows: NDArray[np.int64], seconds: float) -> None:
        speaker = reader.cuts.speaker
        if len(speaker) != len(reader.cuts):
            raise ValueError("the cuts were read without their speakers (keep_speakers)")
        self._reader = reader
        self._speaker = speaker
        self._seconds = seconds
        self._rows = rows[np.argsort(speaker[rows], kind="stable")]
        self._sorted = speaker[self._rows]

    def others(self, members: Collection[int], key: int, share: float = 1.0) -> Audio:
        """Recordings behind one another, (S,), none of them in `members`; empty where there are none.

        `members` are the rows of one example, of one speaker; `share` of the seconds are taken. What cannot be read is
        passed over.
        """
        who = self._speaker[next(iter(members))]
        low, high = np.searchsorted(self._sorted, [who, who + 1]).tolist()
        wanted = s_to_samples(share * self._seconds, self._reader.sample_rate) if who >= 0 else 0
        pieces: list[Audio] = []
        for place in generator(key, _SALT).choice(high - low, min(high - low, MAX_OTHERS), replace=False):
            row = int(self._rows[low + place])
            if wanted <= 0:
                break
            if row in members:
                continue
            try:
                pieces.append(self._reader.utterance(row)[:wanted])
            except AudioError:
                continue
            wanted -= len(pieces[-1])
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
