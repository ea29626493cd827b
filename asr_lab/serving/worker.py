"""The thread that owns the recogniser and steps all clients' streams through it in one batch."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from asr_lab.serving.protocol import INTERNAL, ClientError, WordMessage, update
from asr_lab.serving.queue import Answer, Audio, Line
from asr_lab.units import s_to_ms

_log = logging.getLogger(__name__)
STOP_S = 30.0
"""How long a step that runs may take to end when the server stops."""


class StepUpdate(Protocol):
    """What a step gave one stream; see `asr_lab.recognition.live_words.StreamUpdate`."""

    @property
    def stream(self) -> int: ...
    @property
    def words(self) -> Sequence[WordMessage]: ...
    @property
    def interim(self) -> str: ...
    @property
    def segment_ended(self) -> bool: ...
    @property
    def stream_ended(self) -> bool: ...
    @property
    def audio_s(self) -> float: ...


class StreamRecognizer(Protocol):
    """Many live streams in one batch; `asr_lab.recognition.live.LiveRecognizer` is one."""

    def open(self) -> int: ...
    def push(self, stream: int, samples: Tensor) -> None: ...
    def finish(self, stream: int) -> None: ...
    def close(self, stream: int) -> None: ...
    def step(self) -> Sequence[StepUpdate]: ...


class Turn(NamedTuple):
    """What a line gives in one turn of the worker."""

    line: Line
    audio: Audio
    finish: bool


class Worker:
    """Takes audio out of clients' lines, steps the recogniser, and answers each client.

    A turn takes at most `turn_samples` of each line, so that one with a backlog delays no other by more than a step.
    While a step runs, audio gathers in the lines: the busier the machine, the larger the batches.
    A recogniser that raises ends the streams that it was stepping, and goes on with those that come then.
    """

    def __init__(
        self,
        recognizer: StreamRecognizer,
        sample_rate: int,
        turn_samples: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sample_rate = sample_rate
        self._recognizer = recognizer
        self._turn_samples = turn_samples
        self._clock = clock
        self._lines: list[Line] = []
        self._gone: list[int] = []  # rows whose clients have left
        self._due = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="recognizer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the step that runs; streams that are open get no answer any more."""
        with self._due:
            self._stopping = True
            self._due.notify()
        self._thread.join(STOP_S)

    def open(self, answer: Callable[[Answer], None], room: Callable[[], None]) -> Line:
        """A line for a new client; its row is opened in the worker's thread."""
        line = Line(answer, room)
        with self._due:
            self._lines.append(line)
            self._due.notify()
        return line

    def put(self, line: Line, audio: Audio) -> int:
        """Give a line its next samples (S,); returns how many wait in it now."""
        with self._due:
            line.put(audio, self._clock())
            self._due.notify()
            return line.waiting_samples

    def end(self, line: Line) -> None:
        """Say that a line's audio is over."""
        with self._due:
            line.ended = True
            self._due.notify()

    def close(self, line: Line) -> None:
        """Forget a client, whatever became of it; a second time does nothing."""
        with self._due:
            if line in self._lines:
                self._lines.remove(line)
                if line.row is not None:
                    self._gone.append(line.row)
                    line.row = None
                self._due.notify()

    def _run(self) -> None:
        while True:
            with self._due:
                self._due.wait_for(lambda: self._stopping or self._has_work())
                if self._stopping:
                    return
                gone, turns = self._take()
            for row in gone:
                self._close_row(row)
            fed = self._feed(turns)
            self._step(fed)

    def _has_work(self) -> bool:
        return bool(self._gone) or any(line.waiting_samples or line.ended or line.row is None for line in self._lines)

    def _take(self) -> tuple[list[int], list[Turn]]:
        """What has come since the last turn: rows to close, and each line's share."""
        gone, self._gone = self._gone, []
        turns = []
        for line in self._lines:
            audio = line.take(self._turn_samples)
            finish = line.ended and not line.finished and not line.waiting_samples
            if len(audio) or finish or line.row is None:
                turns.append(Turn(line, audio, finish))
        return gone, turns

    def _feed(self, turns: Sequence[Turn]) -> bool:
        """Give the recogniser the lines' shares; a line that it refuses is over. Whether anything was given."""
        for line, audio, finish in turns:
            try:
                row = self._row(line)
                if row is None:
                    continue
                if len(audio):
                    self._recognizer.push(row, torch.from_numpy(audio))
                if finish:
                    line.finished = True
                    self._recognizer.finish(row)
            except Exception:
                _log.exception("a stream was refused by the recogniser")
                self._fail(line)
                continue
            if len(audio):
                line.room()
        return bool(turns)

    def _row(self, line: Line) -> int | None:
        """A line's row, opened in its first turn; None when its client left meanwhile."""
        with self._due:
            if line not in self._lines:
                return None
            if line.row is None:
                line.row = self._recognizer.open()
            return line.row

    def _step(self, fed: bool) -> None:
        """Step the recogniser once and answer the clients whose streams it moved on."""
        start_s = self._clock()
        try:
            updates = self._recognizer.step()
        except Exception:
            _log.exception("the recogniser failed; all open streams end")
            self._fail_all(lambda line: line.row is not None)
            return
        now_s = self._clock()
        with self._due:
            lines = {line.row: line for line in self._lines}
        for new in updates:
            if (line := lines.get(new.stream)) is not None:
                line.busy_s += now_s - start_s
                self._tell(line, new, now_s)
        if not updates and not fed:
            # Only streams that ended are due without new audio: one that never gives its last update would spin here.
            self._fail_all(lambda line: line.finished)

    def _tell(self, line: Line, new: StepUpdate, now_s: float) -> None:
        with self._due:
            arrival_s = line.arrival_s(new.words[-1].end_s * self.sample_rate) if new.words else None
            if new.stream_ended:  # the recogniser has forgotten the row itself
                line.row = None
                if line in self._lines:
                    self._lines.remove(line)
        line.answer(
            update(
                new.words,
                new.interim,
                segment_ended=new.segment_ended,
                stream_ended=new.stream_ended,
                audio_s=new.audio_s,
                delay_ms=None if arrival_s is None else s_to_ms(now_s - arrival_s),
                rtf=line.busy_s / new.audio_s if new.audio_s else 0.0,
            )
        )

    def _fail_all(self, which: Callable[[Line], bool]) -> None:
        with self._due:
            failed = [line for line in self._lines if which(line)]
        for line in failed:
            self._fail(line)

    def _fail(self, line: Line) -> None:
        """End a stream for a fault that is not its client's."""
        self.close(line)
        line.answer(ClientError("internal", "the recogniser failed; the server's log says why", INTERNAL))

    def _close_row(self, row: int) -> None:
        with contextlib.suppress(Exception):  # a recogniser that failed may not know the row any more
            self._recognizer.close(row)
