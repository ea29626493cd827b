"""Recordings of any length to text, with word times where the model has a CTC decoder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from asr_lab.audio.decoding import AudioError, Recording
from asr_lab.audio.reading import pick
from asr_lab.audio.resampling import Audio, refused_rates, resample
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.alignment import align, required_frames
from asr_lab.recognition.alignment import ctc_reading
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.recognition.transcribe_set import evaluating, evaluation_context
from asr_lab.recognition.transcript import Transcript, TranscriptSegment
from asr_lab.streaming import WHOLE, Frames, Streamable, run_whole
from asr_lab.text.vocabulary import Vocabulary
from asr_lab.training.precision import PrecisionManager, get_precision_manager
from asr_lab.units import s_to_samples

WINDOW_S = 30.0
"""A longer recording is decoded in pieces of at most this many seconds."""
SEARCHED = 0.5
"""A piece ends at the quietest place in this last share of its window."""
QUIET_S = 0.2
"""Length of the stretch whose loudness decides."""
TOO_MANY_TOKENS = "a segment's text has more tokens than its CTC decoder has frames"
"""Why words get no times where the model has a CTC decoder."""


class Piece(NamedTuple):
    """A stretch of a recording."""

    start_s: float
    audio: NDArray[np.float32]  # (S,)


class Recognizer:
    """A model that transcribes recordings; the model is used in its widest context."""

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
        precision: PrecisionManager | None = None,
    ) -> None:
        self.model = model.to(device)
        self.features = features.to(device)
        self.vocabulary = vocabulary
        self.sample_rate = sample_rate
        self.decode = decode or DecodeOptions()
        self.device = device
        self.precision = precision or get_precision_manager("fp32")
        self.window_s = window_s
        self.context = evaluation_context(model)
        self._reading = ctc_reading(model, frame_ms)

    @property
    def no_times_because(self) -> str:
        """Why words get no times; empty where they do."""
        return "" if self._reading is not None else "the model has no CTC decoder, which word times are read from"

    def file(self, path: str | os.PathLike[str], with_words: bool = False) -> Transcript:
        """The transcript of a recording; AudioError for one that cannot be read.

        Any format that libsndfile reads, any rate, channels mixed. Only a window of it is in memory.
        """
        return self._transcript(read_pieces(path, self.sample_rate, self.window_s), with_words)

    def samples(self, audio: Audio, sample_rate: int, with_words: bool = False) -> Transcript:
        """The transcript of samples (S,) at `sample_rate` Hz, at least one: that of a recording which holds them."""
        return self._transcript(cut_pieces(audio, sample_rate, self.sample_rate, self.window_s), with_words)

    @torch.no_grad()
    def segment(self, piece: Piece, with_words: bool = False) -> TranscriptSegment:
        """The text of one stretch, and its words' times where asked for."""
        end_s = piece.start_s + len(piece.audio) / self.sample_rate
        with evaluating(self.model):
            audio = torch.from_numpy(piece.audio)[None].to(self.device)
            features = run_whole(self.features, Frames.whole(audio), WHOLE)
            with self.precision.autocast(self.device):
                tokens = self.model.search(features, self.decode, self.context)[0][0].tokens
            words = self._words(features, tokens, piece.start_s, end_s) if with_words else None
        text = " ".join(self.vocabulary.decode(tokens).split())
        return TranscriptSegment(piece.start_s, end_s, text, words)

    def _transcript(self, pieces: Iterable[Piece], with_words: bool) -> Transcript:
        reason = (self.no_times_because or TOO_MANY_TOKENS) if with_words else "they were not asked for"
        return Transcript.of((self.segment(piece, with_words) for piece in pieces), reason)

    def _words(
        self, frames: Frames, tokens: Sequence[int], start_s: float, end_s: float
    ) -> tuple[TimedWord, ...] | None:
        if self._reading is None:
            return None
        log_probs = self._reading.log_probs(self.model, frames, self.context)
        if required_frames(tokens) > len(log_probs):
            return None  # another decoder found more tokens than there are frames
        spans = align(log_probs, tokens, self._reading.head.blank).words(self.vocabulary.words(tokens))
        return tuple(self._reading.seconds(spans, start_s, end_s))


def read_pieces(path: str | os.PathLike[str], sample_rate: int, window_s: float = WINDOW_S) -> Iterator[Piece]:
    """A recording in stretches of at most `window_s` seconds, cut where it is quiet; together they are all of it.

    It is decoded once, from its start to its end.
    """
    with Recording(path) as recording:
        if reason := refused_rates(recording.sample_rate, sample_rate):
            raise AudioError(path, reason)
        recording.warn()
        blocks = (pick(path, block, "mix") for block in recording.blocks())
        yield from _pieces(blocks, recording.sample_rate, sample_rate, window_s)


def cut_pieces(audio: Audio, from_hz: int, sample_rate: int, window_s: float = WINDOW_S) -> Iterator[Piece]:
    """Samples (S,) at `from_hz` in the stretches at `sample_rate` that a recording of them is read in."""
    return _pieces(iter([audio]), from_hz, sample_rate, window_s)


def _pieces(blocks: Iterator[Audio], from_hz: int, sample_rate: int, window_s: float) -> Iterator[Piece]:
    """Stretches of what blocks (S,) at `from_hz` hold."""
    window = s_to_samples(window_s, from_hz)
    held = np.zeros(0, dtype=np.float32)
    start = 0
    while True:
        taken = [held]
        while sum(map(len, taken)) <= window and (block := next(blocks, None)) is not None:
            taken.append(block)
        held = np.concatenate(taken)
        start_s = start / from_hz
        if len(held) <= window:
            yield Piece(start_s, resample(held, from_hz, sample_rate))
            return
        audio = resample(held[:window], from_hz, sample_rate)
        # A cut at a whole sample of the source: nothing is read twice, nothing is lost.
        cut = round(quietest_cut(audio, sample_rate) / sample_rate * from_hz)
        yield Piece(start_s, audio[: s_to_samples(cut / from_hz, sample_rate)])
        held, start = held[cut:], start + cut


def quietest_cut(audio: NDArray[np.float32], sample_rate: int) -> int:
    """The sample in the middle of the quietest `QUIET_S` in the last half of a window (S,)."""
    width = max(1, min(s_to_samples(QUIET_S, sample_rate), len(audio) // 4))
    first = int(len(audio) * (1 - SEARCHED))
    energy = np.cumsum(np.concatenate([[0.0], audio[first:].astype(np.float64) ** 2]))
    loudness = energy[width:] - energy[:-width]
    # Among equals the last: silence is cut at its end, and pieces are long.
    quietest = len(loudness) - 1 - int(np.argmin(loudness[::-1]))
    return first + quietest + width // 2
