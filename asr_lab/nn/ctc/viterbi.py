"""The best path of a text through a recording's frames, exactly, in memory that grows with the root of its length.

Viterbi (Forney, Proc. IEEE 1973) over the states of CTC, with two savings, neither of which changes the path:

Checkpoints. Only the scores at the start of every segment of frames are kept; which way each state was reached is
computed anew for one segment at a time, from the last to the first.

A bound. In each frame scores are taken relative to the best token's, so that a path's score can only fall. A first pass
that drops what is far below the best of its frame finds some path of the text, of score -G. No path that has fallen
below -G can be the best: the second pass, which decides, leaves those states out. Where a model is sure of its text,
few states are left, and the time is linear in the recording's length; at worst all are, as in a search without a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asr_lab.nn.ctc.emission_store import EmissionStore

IMPOSSIBLE = -1e9
"""Stands for a log-probability of minus infinity, so that a path through it is still a path of the text."""
BLOCK_FRAMES = 64
"""After so many frames, states that are below the bound are dropped."""
MARGIN = 500.0
"""What the first pass drops: states so far below the best of their frame (natural logarithm)."""
SMALL_CELLS = 1 << 20
"""Frames times states that are searched in one pass, without a bound."""
MAX_BYTES = 1 << 30
"""What checkpoints may take in memory, and the ways of one segment."""

Floats = npt.NDArray[np.float64]
Bound = Callable[[Floats], float]


class TooLongError(ValueError):
    """An alignment that would take more than `MAX_BYTES`."""


class StateScores(NamedTuple):
    """The scores of neighbouring states; all others are dropped."""

    first: int
    scores: Floats


START = StateScores(0, np.zeros(1))
"""Before the first frame: as if in the first blank."""
Ways = list[tuple[int, npt.NDArray[np.uint8]]]
"""For each block its first state, and how many states back each state of each frame was reached from, 0 to 2."""


class Trellis:
    """The states of a text, a blank before, between and after its tokens, over stored frames."""

    def __init__(self, emissions: EmissionStore, labels: npt.NDArray[np.int64]) -> None:
        """`labels` (S,) are the columns of the states."""
        self._emissions, self._labels = emissions, labels
        self.num_frames, self.num_states = emissions.num_frames, len(labels)
        self._skip = np.full(self.num_states, -np.inf)  # 0 where the state before may be left out
        self._skip[3::2][labels[3::2] != labels[1:-2:2]] = 0.0

    def best_states(self) -> npt.NDArray[np.int64]:
        """The state of each frame on the best path, (T,); TooLongError."""
        if self.num_frames * self.num_states <= SMALL_CELLS:
            return self._traced([START], max(1, self.num_frames), -math.inf)
        floor = self._known_score()
        segment = BLOCK_FRAMES * max(1, round(math.sqrt(8 * self.num_frames) / BLOCK_FRAMES))
        starts: list[StateScores] = []
        for first, window in self._passed(lambda _: floor):
            if first % segment == 0 and first < self.num_frames:
                starts.append(window)
                self._check(sum(w.scores.nbytes for w in starts))
        return self._traced(starts, segment, floor)

    def _check(self, num_bytes: int) -> None:
        if num_bytes > MAX_BYTES:
            raise TooLongError(
                f"{self.num_frames} frames and {self.num_states // 2} tokens are too many to align at once: more than "
                f"{MAX_BYTES >> 20} MiB would be needed"
            )

    def _known_score(self) -> float:
        """The score of a path of the text that is good, if not the best; minus infinity where none was found."""
        for _, window in self._passed(lambda scores: float(scores.max()) - MARGIN):
            last = window
        return self._end(last)[1]

    def _passed(self, bound: Bound) -> Iterator[tuple[int, StateScores]]:
        """The scores before each block and after the last one, each with its first frame."""
        window = START
        for first in range(0, self.num_frames, BLOCK_FRAMES):
            yield first, window
            window = self._dropped(self._advanced(window, first, None), first + BLOCK_FRAMES, bound)
        yield self.num_frames, window

    def _advanced(self, window: StateScores, first: int, ways: Ways | None) -> StateScores:
        """The scores a block further on; `ways` is given how they came about."""
        rows = np.maximum(self._emissions.rows(first, first + BLOCK_FRAMES), IMPOSSIBLE)
        rows -= rows.max(axis=1, keepdims=True)
        low = window.first
        high = min(self.num_states, low + len(window.scores) + 2 * len(rows))
        labels, skip = self._labels[low:high], self._skip[low + 2 : high]
        best = np.full(high - low, -np.inf)
        best[: len(window.scores)] = window.scores
        following, skipping, emitted = np.empty_like(best), np.empty(max(0, len(best) - 2)), np.empty_like(best)
        moves = None
        if ways is not None:
            moves = np.zeros((len(rows), len(best)), dtype=np.uint8)
            ways.append((low, moves))
        for t, row in enumerate(rows):
            following[0] = best[0]
            np.maximum(best[1:], best[:-1], out=following[1:])
            np.add(best[:-2], skip, out=skipping)
            if moves is not None:
                np.greater(best[:-1], best[1:], out=moves[t, 1:].view(bool))
                np.copyto(moves[t, 2:], 2, where=skipping > following[2:])
            np.maximum(following[2:], skipping, out=following[2:])
            np.take(row, labels, out=emitted, mode="clip")
            np.add(following, emitted, out=best)
        return StateScores(low, best)

    def _dropped(self, window: StateScores, frame: int, bound: Bound) -> StateScores:
        """The states without those at its ends that are below the bound, or cannot reach the text's end from here."""
        kept = np.flatnonzero(window.scores >= max(bound(window.scores), -1e300))
        if not len(kept):
            return StateScores(window.first, window.scores[:0])
        too_early = self.num_states - 2 - 2 * max(0, self.num_frames - frame) - window.first
        first, end = max(int(kept[0]), min(too_early, len(window.scores) - 1)), int(kept[-1]) + 1
        return StateScores(window.first + first, window.scores[first:end].copy())

    def _end(self, window: StateScores) -> tuple[int, float]:
        """The state in which a path ends, the last blank or the last token, and its score; ties go to the blank."""
        ends = [self.num_states - 1, self.num_states - 2] if self.num_states > 1 else [0]
        scores = {}
        for state in ends:
            place = state - window.first
            scores[state] = float(window.scores[place]) if 0 <= place < len(window.scores) else -math.inf
        return max(scores.items(), key=lambda item: item[1])

    def _traced(self, starts: list[StateScores], segment: int, floor: float) -> npt.NDArray[np.int64]:
        """The best path, from the scores at the starts of segments of so many frames; the list is used up."""
        states = np.zeros(self.num_frames, dtype=np.int64)
        state = -1
        while starts:
            window = starts.pop()
            begin = len(starts) * segment
            ways: Ways = []
            for first in range(begin, min(begin + segment, self.num_frames), BLOCK_FRAMES):
                window = self._dropped(self._advanced(window, first, ways), first + BLOCK_FRAMES, lambda _: floor)
                self._check(sum(moves.nbytes for _, moves in ways))
            if state < 0:
                state = self._end(window)[0]
            for block in range(len(ways) - 1, -1, -1):
                low, moves = ways[block]
                for t in range(len(moves) - 1, -1, -1):
                    states[begin + block * BLOCK_FRAMES + t] = state
                    state -= int(moves[t, state - low])
        return states
