"""Examples to waveforms, in whatever process reads them, with a memory of what was decoded."""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.reading import read_audio
from asr_lab.audio.resampling import Audio
from asr_lab.data.cuts import MIX, Cuts
from asr_lab.units import s_to_samples

SLACK_SAMPLES = 64
"""Room for a length that a manifest rounds."""


class AudioCache:
    """Decoded waveforms in memory that forked processes share, filled as they are first read.

    The first utterances that fit into `max_bytes` have a place; pages that were never written cost nothing. What is
    read from it is bit for bit what decoding gives, so that a run may resume with an empty one.
    """

    def __init__(self, durations_s: NDArray[np.float64], sample_rate: int, max_bytes: int) -> None:
        room = np.ceil(durations_s * sample_rate).astype(np.int64) + SLACK_SAMPLES
        starts = np.concatenate([[0], np.cumsum(room)])
        num_placed = int(np.searchsorted(starts, max_bytes // 4, side="right")) - 1
        self._starts = starts[: num_placed + 1]
        # Anonymous shared memory: it needs no /dev/shm, which containers keep small.
        self._audio = np.frombuffer(mmap.mmap(-1, max(4, int(4 * self._starts[-1]))), dtype=np.float32)
        self._lengths = np.frombuffer(mmap.mmap(-1, max(4, 4 * num_placed)), dtype=np.int32)

    def get(self, row: int) -> Audio | None:
        """The waveform of an utterance; None when no process decoded it yet. Not to be written to."""
        if row >= len(self._starts) - 1 or not (length := int(self._lengths[row])):
            return None
        start = self._starts[row]
        audio = self._audio[start : start + length]
        audio.flags.writeable = False
        return audio

    def put(self, row: int, audio: Audio) -> None:
        """Keep a waveform, if it has a place."""
        if row >= len(self._starts) - 1 or len(audio) > self._starts[row + 1] - self._starts[row]:
            return
        start = self._starts[row]
        self._audio[start : start + len(audio)] = audio
        self._lengths[row] = len(audio)


class AudioReader:
    """Reads utterances of `cuts` by their row."""

    def __init__(self, cuts: Cuts, sample_rate: int, cache_mb: int = 0) -> None:
        self.cuts = cuts
        self.sample_rate = sample_rate
        self._cache = AudioCache(cuts.duration_s, sample_rate, cache_mb * 2**20) if cache_mb else None

    def utterance(self, row: int) -> Audio:
        """The waveform of one utterance, (S,) float32; AudioError when it cannot be read."""
        if self._cache is not None and (audio := self._cache.get(row)) is not None:
            return audio
        cuts = self.cuts
        duration_s = None if cuts.whole[row] else float(cuts.duration_s[row])
        channel = None if cuts.channel[row] == MIX else int(cuts.channel[row])
        audio = read_audio(cuts.audio[row], self.sample_rate, float(cuts.start_s[row]), duration_s, channel)
        if self._cache is not None:
            self._cache.put(row, audio)
        return audio

    def joined(self, rows: Sequence[int], gaps_s: Sequence[float]) -> Audio:
        """Utterances after one another, with silence before each."""
        audios = [self.utterance(row) for row in rows]
        if len(audios) == 1:
            return audios[0]
        pieces = []
        for audio, gap_s in zip(audios, gaps_s, strict=True):
            pieces += [np.zeros(s_to_samples(gap_s, self.sample_rate), dtype=np.float32), audio]
        return np.concatenate(pieces)
