"""Recordings of any length to text, with word times where the model has a CTC decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from asr_lab.audio.reading import read_audio, read_info
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.alignment import align, required_frames
from asr_lab.recognition.alignment import ctc_reading
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.recognition.transcribe_set import evaluating, evaluation_context
from asr_lab.streaming import WHOLE, Frames, Streamable, run_whole
from asr_lab.text.vocabulary import Vocabulary
from asr_lab.units import s_to_samples

WINDOW_S = 30.0
"""A longer recording is heard in pieces of at most this many seconds."""
SEARCHED = 0.5
"""A piece ends at the quietest place in this last share of its window."""
QUIET_S = 0.2
"""Length of the stretch whose loudness decides."""


@attrs.frozen
class TranscriptSegment:
    """What was heard in a stretch of a recording."""

    start_s: float
    end_s: float
    text: str
    words: tuple[TimedWord, ...] | None = None
    """None where times were not asked for or cannot be had."""


class Piece(NamedTuple):
    """A stretch of a recording."""

    start_s: float
    audio: NDArray[np.float32]  # (S,)


class Recognizer:
    """A model that hears files; the model is used in its widest context."""

    def __init__(
        self,
        model: SpeechModel,
        features: Streamable[Any],
        vocabulary: Vocabulary,
        *,
        sample_rate: int,
        frame_ms: Fraction,
        decode: DecodeOptions | None = None,
        device: torch.device | str = "cpu",
        window_s: float = WINDOW_S,
    ) -> None:
        self.model = model.to(device)
        self.features = features.to(device)
        self.vocabulary = vocabulary
        self.sample_rate = sample_rate
        self.decode = decode or DecodeOptions()
        self.device = device
        self.window_s = window_s
        self.context = evaluation_context(model)
        self._reading = ctc_reading(model, frame_ms)

    @property
    def no_times_because(self) -> str:
        """Why words get no times; empty where they do."""
        return "" if self._reading is not None else "the model has no CTC decoder, which word times are read from"

    def file(self, path: str | Path, with_words: bool = False) -> Iterator[TranscriptSegment]:
        """The segments of a recording, one after the other as they are heard; AudioError for one that cannot be read.

        Any format that libsndfile reads, any rate, channels mixed. Only a window of it is in memory.
        """
        for piece in read_pieces(path, self.sample_rate, self.window_s):
            yield self.hear(piece, with_words)

    @torch.no_grad()
    def hear(self, piece: Piece, with_words: bool = False) -> TranscriptSegment:
        """The text of one stretch, and its words' times where asked for."""
        end_s = piece.start_s + len(piece.audio) / self.sample_rate
        with evaluating(self.model):
            audio = torch.from_numpy(piece.audio)[None].to(self.device)
            features = run_whole(self.features, Frames.whole(audio), WHOLE)
            tokens = self.model.search(features, self.decode, self.context)[0][0].tokens
            words = self._words(features, tokens, piece.start_s, end_s) if with_words else None
        text = " ".join(self.vocabulary.decode(tokens).split())
        return TranscriptSegment(piece.start_s, end_s, text, words)

    def _words(
        self, frames: Frames, tokens: Sequence[int], start_s: float, end_s: float
    ) -> tuple[TimedWord, ...] | None:
        if self._reading is None:
            return None
        log_probs = self._reading.log_probs(self.model, frames, self.context)
        if required_frames(tokens) > len(log_probs):
            return None  # another decoder heard more tokens than there are frames
        spans = align(log_probs, tokens, self._reading.head.blank).words(self.vocabulary.words(tokens))
        return tuple(self._reading.seconds(spans, start_s, end_s))


def read_pieces(path: str | Path, sample_rate: int, window_s: float = WINDOW_S) -> Iterator[Piece]:
    """A recording in stretches of at most `window_s` seconds, cut where it is quiet; together they are all of it."""
    info = read_info(path)
    start_s = 0.0
    while True:
        left_s = info.duration_s - start_s
        if left_s <= window_s:
            yield Piece(start_s, read_audio(path, sample_rate, start_s, None if start_s == 0 else left_s))
            return
        audio = read_audio(path, sample_rate, start_s, window_s)
        # A cut at a whole sample of the file: nothing is read twice, nothing is lost.
        cut = round(quietest_cut(audio, sample_rate) / sample_rate * info.sample_rate)
        piece_s = cut / info.sample_rate
        yield Piece(start_s, audio[: s_to_samples(piece_s, sample_rate)])
        start_s += piece_s
        if (info.duration_s - start_s) * info.sample_rate < 1:
            return


def quietest_cut(audio: NDArray[np.float32], sample_rate: int) -> int:
    """The sample in the middle of the quietest `QUIET_S` in the last half of a window (S,)."""
    width = max(1, min(s_to_samples(QUIET_S, sample_rate), len(audio) // 4))
    first = int(len(audio) * (1 - SEARCHED))
    energy = np.cumsum(np.concatenate([[0.0], audio[first:].astype(np.float64) ** 2]))
    loudness = energy[width:] - energy[:-width]
    # Among equals the last: silence is cut at its end, and pieces are long.
    quietest = len(loudness) - 1 - int(np.argmin(loudness[::-1]))
    return first + quietest + width // 2
