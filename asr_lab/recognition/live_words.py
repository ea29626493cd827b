"""Updates of a live stream, and how final tokens become final words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import attrs
from attrs import validators as v

from asr_lab.nn.confidence import mean_confidence
from asr_lab.nn.decoder import Emission
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.text.vocabulary import Vocabulary
from asr_lab.units import frames_to_s

MAX_WORD_TOKENS = 256
"""A word of more tokens becomes final in pieces of about so many: text without blanks must not be held for ever."""

TimesFrom = Literal["ctc", "attention", "proportion"]
"""What words' places are read from: CTC, an attention decoder's weights, or each token's share of the audio."""


@attrs.frozen
class StreamUpdate:
    """What a stream's newest audio made of its text."""

    stream: int
    """The stream's number in its recogniser."""
    words: tuple[TimedWord, ...]
    """Final words that are new since the last update; they never change."""
    interim: str
    """The text after them as it looks now, which the next update may change."""
    segment_ended: bool
    """The segment ends after these words; `interim` is empty."""
    stream_ended: bool
    """This is the stream's last update."""
    audio_s: float
    """Seconds of the stream that were decoded so far."""
    times_from: TimesFrom = "ctc"
    """What the words' places were read from."""


@attrs.frozen
class Endpointing:
    """When a segment ends. Both are looked at after every chunk."""

    silence_s: float = attrs.field(default=0.8, validator=v.gt(0))
    """Time without a new token, after at least one word."""
    max_segment_s: float = attrs.field(default=30.0, validator=v.gt(0))
    """A longer segment ends wherever it has got to, be it within a word."""


class LiveSegment:
    """The words of one stretch of a stream, made of the tokens that a search finds in its frames."""

    def __init__(self, vocabulary: Vocabulary, frame_ms: Fraction, start_s: float) -> None:
        self.start_s = start_s
        self.num_frames = 0
        self._vocabulary = vocabulary
        self._frame_ms = frame_ms
        self._num_words = 0  # final ones
        self._pending: list[Emission] = []  # final tokens of a word that may go on
        self._interim: Sequence[Emission] = ()
        self._newest_frame = 0  # of the final tokens

    def push(self, num_frames: int, final: Sequence[Emission], interim: Sequence[Emission]) -> None:
        """Take what the search gives after so many more frames: tokens that are newly final, and all interim ones."""
        self.num_frames += num_frames
        self._pending += final
        self._interim = interim
        if final:
            self._newest_frame = final[-1].frame

    @property
    def interim(self) -> str:
        """The text after the final words as it looks now."""
        return " ".join(self._vocabulary.decode(self._tokens()).split())

    @property
    def duration_s(self) -> float:
        """Seconds of its frames so far."""
        return frames_to_s(self.num_frames, self._frame_ms)

    @property
    def silence_s(self) -> float:
        """Seconds without a new token, after at least one word; 0 before the first."""
        if not self._num_words and not self._vocabulary.words(self._tokens()):
            return 0.0
        newest = self._interim[-1].frame if self._interim else self._newest_frame
        return frames_to_s(self.num_frames - 1 - newest, self._frame_ms)

    def finalise(self, end_s: float | None) -> tuple[TimedWord, ...]:
        """The words that cannot change any more, each given once.

        Those that another final word or a final space follows; where the segment ends, at `end_s`, all.
        """
        ended = end_s is not None
        tokens = [e.token for e in self._pending]
        words = self._vocabulary.words(tokens)
        going_on = [] if ended else words[-1:]
        if going_on and self._vocabulary.decode(tokens[going_on[0].last + 1 :]).isspace():
            going_on = []
        if going_on and going_on[0].last - going_on[0].first >= MAX_WORD_TOKENS:
            going_on = []
        done = words[: len(words) - len(going_on)]
        final = tuple(self._word(word.text, self._pending[word.first : word.last + 1], end_s) for word in done)
        self._pending = self._pending[going_on[0].first :] if going_on else []
        self._num_words += len(final)
        return final

    def _tokens(self) -> list[int]:
        return [e.token for e in (*self._pending, *self._interim)]

    def _word(self, text: str, emissions: Sequence[Emission], end_s: float | None) -> TimedWord:
        first, last = (frames_to_s(n, self._frame_ms) for n in (emissions[0].frame, emissions[-1].frame + 1))
        confidence = mean_confidence(e.confidence for e in emissions)
        # As long as the segment goes on, all frames are of samples that came.
        limit_s = math.inf if end_s is None else end_s
        return TimedWord.within(limit_s, text, self.start_s + first, self.start_s + last, confidence)
