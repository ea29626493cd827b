"""One client's audio on its way to the recogniser, with the times at which it came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_lab.serving.protocol import ClientError

Audio = NDArray[np.float32]
Answer = dict[str, Any] | ClientError
"""A message for the client, or why its stream is over."""

MAX_MARKS = 1024
"""Arrival times that are kept, the newest; words that are final later than these reach count from the oldest."""


class Line:
    """What the server's two sides share of one client; the worker's lock guards all of it.

    `answer` and `room` are called in the worker's thread: with each message for the client, and whenever audio was
    taken out of the line.
    """

    def __init__(self, answer: Callable[[Answer], None], room: Callable[[], None]) -> None:
        self.answer = answer
        self.room = room
        self.row: int | None = None
        """The recogniser's number of the stream, while it has one."""
        self.waiting_samples = 0
        """Samples in the line."""
        self.ended = False
        """No more audio will come."""
        self.finished = False
        """The recogniser knows that."""
        self.busy_s = 0.0
        """What the steps that moved this stream on took."""
        self._pieces: deque[Audio] = deque()
        self._given_samples = 0
        self._marks: deque[tuple[int, float]] = deque(maxlen=MAX_MARKS)

    def put(self, audio: Audio, now_s: float) -> None:
        """Add samples (S,) that came at `now_s`."""
        self._pieces.append(audio)
        self.waiting_samples += len(audio)
        self._given_samples += len(audio)
        self._marks.append((self._given_samples, now_s))

    def take(self, max_samples: int) -> Audio:
        """The oldest samples, at most so many."""
        pieces: list[Audio] = []
        wanted = min(max_samples, self.waiting_samples)
        while wanted:
            piece = self._pieces.popleft()
            if len(piece) > wanted:
                self._pieces.appendleft(piece[wanted:])
                piece = piece[:wanted]
            pieces.append(piece)
            wanted -= len(piece)
            self.waiting_samples -= len(piece)
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def arrival_s(self, sample: float) -> float | None:
        """When a sample came (the newest one's time for one beyond it); None before there is any."""
        found = next((at_s for given, at_s in self._marks if given >= sample), None)
        return self._marks[-1][1] if found is None and self._marks else found
