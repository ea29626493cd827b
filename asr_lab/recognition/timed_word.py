"""A word of a transcript with its place in the audio."""

from __future__ import annotations

from typing import Self

import attrs


@attrs.frozen
class TimedWord:
    """A word with its place, in seconds from the start of the recording or stream; `str` gives its text.

    An alignment gives it all the frames of its tokens. A CTC stream only knows in which frame each token is emitted:
    there the word begins with its first token's frame and ends with its last one's.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float
    """Geometric mean of its tokens' probabilities, 0 to 1."""

    @classmethod
    def within(cls, audio_end_s: float, text: str, start_s: float, end_s: float, confidence: float) -> Self:
        """A word as decoding places it, cut at `audio_end_s`: a last frame may reach beyond the audio, no word does.

        Every word that a recognizer gives is made here.
        """
        start_s = min(start_s, audio_end_s)
        return cls(text, start_s, max(start_s, min(end_s, audio_end_s)), confidence)

    def __str__(self) -> str:
        return self.text
