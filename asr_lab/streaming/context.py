"""How much a frame may see: its own chunk, and a bounded past."""

from __future__ import annotations

from fractions import Fraction

import attrs


@attrs.frozen
class Context:
    """A chunk and a left context, in frames at the rate of the layer that is given it.

    Chunks are aligned to each row's frame 0. Frames of one chunk see each other and `left_frames` before the chunk.
    `chunk_frames = None` is the whole utterance; `left_frames = None` is all that went before.
    """

    chunk_frames: int | None = None
    left_frames: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the utterance is seen as one chunk."""
        return self.chunk_frames is None

    def after(self, ratio: Fraction) -> Context:
        """The same context behind a layer that makes `ratio` frames of one; ValueError when it does not divide."""
        return Context(_scaled(self.chunk_frames, ratio, "chunk"), _scaled(self.left_frames, ratio, "left context"))


WHOLE = Context()


def _scaled(frames: int | None, ratio: Fraction, name: str) -> int | None:
    if frames is None:
        return None
    scaled = frames * ratio
    if scaled.denominator != 1:
        raise ValueError(f"a {name} of {frames} frames is not a whole number of frames at ratio {ratio}")
    return int(scaled)
