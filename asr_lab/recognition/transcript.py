"""The text of a recording, with the places of its words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import attrs

from asr_lab.recognition.timed_word import TimedWord


@attrs.frozen
class TranscriptSegment:
    """The text of a stretch of a recording, in seconds from the recording's start."""

    start_s: float
    end_s: float
    text: str
    words: tuple[TimedWord, ...] | None = None
    """None where times were not asked for or cannot be had."""


@attrs.frozen
class Transcript:
    """The text of a recording; `str` gives it."""

    text: str
    words: tuple[TimedWord, ...] | None
    """The words of the text with their places; None where those cannot be had, as `no_times_because` says."""
    segments: tuple[TranscriptSegment, ...]
    """Stretches that were decoded one by one, cut where it is quiet; together they are the recording."""
    duration_s: float
    no_times_because: str = ""
    """Why there are no words' times; empty where there are."""

    def __str__(self) -> str:
        return self.text

    @classmethod
    def of(cls, segments: Iterable[TranscriptSegment], no_times_because: str) -> Transcript:
        """The transcript of a recording's segments, in order, at least one; the reason counts where words lack."""
        segments = tuple(segments)
        text = " ".join(segment.text for segment in segments if segment.text)
        found = [segment.words for segment in segments if segment.words is not None]
        if len(found) < len(segments):
            return cls(text, None, segments, segments[-1].end_s, no_times_because)
        return cls(text, tuple(itertools.chain.from_iterable(found)), segments, segments[-1].end_s)
