"""A word of a transcript with its place in the audio."""

from __future__ import annotations

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

    def __str__(self) -> str:
        return self.text
