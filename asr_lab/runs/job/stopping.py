"""Signals that ask a run to end: it saves at the next step's end; asked again, it ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Literal, NamedTuple

from asr_lab.errors import RunError
from asr_lab.runs.scheduler import is_preempted, may_be_requeued

INTERRUPTED = 130
"""Exit code of a command that was asked to end (the shell's own for Ctrl-C)."""
REQUEUED: Literal["requeued"] = "requeued"
"""Phase of a run whose job goes back into the queue."""
CANCELLED = "a cancelled job"
"""Why a run ended whose job was cancelled."""
REPEATED_S = 5.0
"""Seconds for which a signal that comes again is the same request: SLURM sends SIGTERM to a job's steps, and again by
srun. Ctrl-C is a person's, and counts each time."""
TRIES, TRY_EVERY_S = 5, 2.0
"""How often a job asks why it is to end, and seconds between: the reason is worth a wait, the grace time is short."""

_TERMINATED, _TIME_LIMIT = "SIGTERM", "the job's time limit"
_REASONS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: _TERMINATED,
    signal.SIGHUP: "the terminal's end",
    signal.SIGUSR2: _TIME_LIMIT,
}


def reason_of(number: int) -> str:
    """What a signal that ends a run means."""
    return _REASONS[signal.Signals(number)]


class StopNow(BaseException):
    """A signal came while there was nothing to save."""


class Stopper:
    """Within `with Stopper() as stop`, signals set `stop.reason` and do nothing else; a second one ends the process.

    After `raise_from_now`, the first one raises StopNow where the process stands. Workers forked inside inherit the
    handlers; there they do nothing: the training process ends its workers. SLURM signals every process of a job.
    """

    def __init__(self, is_silent: bool = False) -> None:
        self.number = 0
        """The signal that came; 0 = none."""
        self._is_silent = is_silent
        self._process = os.getpid()
        self._raises = False
        self._asked_at = 0.0
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    @property
    def reason(self) -> str | None:
        """What the signal that came means."""
        return reason_of(self.number) if self.number else None

    def __enter__(self) -> Stopper:
        for number in _REASONS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return
        if self.reason is not None:
            if number != signal.SIGINT and time.monotonic() - self._asked_at < REPEATED_S:
                return
            self._say(b"\nended at once; the last checkpoint stands\n")
            os._exit(INTERRUPTED)
        self.number, self._asked_at = number, time.monotonic()
        if self._raises:
            raise StopNow
        self._say(b"\nsaving after this step; once more ends at once\n")

    def raise_from_now(self) -> None:
        """Have a signal end what is done by StopNow, since all is saved; at once where one has come already."""
        self._raises = True
        if self.reason is not None:
            raise StopNow

    def note_from_now(self) -> None:
        """Have a signal set `number` and do nothing else again: where other processes are told of it."""
        self._raises = False

    def _say(self, text: bytes) -> None:
        if not self._is_silent:
            with contextlib.suppress(OSError):  # the terminal may be gone
                os.write(2, text)


class Ending(NamedTuple):
    """What becomes of a run that was asked to end and has saved."""

    state: Literal["stopped", "requeued"]
    reason: str


def ending(
    reason: str,
    environ: Mapping[str, str] = os.environ,
    preempted: Callable[[str], bool] = is_preempted,
    requeueable: Callable[[str], bool] = may_be_requeued,
    sleep: Callable[[float], None] = time.sleep,
) -> Ending:
    """Whether a job that was dispatched to SLURM goes back into the queue: after preemption and at its time limit.

    SLURM sends SIGTERM both to a job that makes room for another and to one that is cancelled; only the scheduler
    knows which (a preempted job has a PreemptTime).
    """
    job = environ.get("SLURM_JOB_ID", "")
    if environ.get("SUBMITIT_EXECUTOR") != "slurm" or not job or reason not in (_TERMINATED, _TIME_LIMIT):
        return Ending("stopped", reason)
    for tries_left in reversed(range(TRIES)):
        try:
            if reason == _TERMINATED:
                if not preempted(job):
                    return Ending("stopped", CANCELLED)
                reason = "preemption"
            if requeueable(job):
                return Ending(REQUEUED, reason)
            return Ending("stopped", f"{reason} (its job may not be requeued)")
        except RunError as error:
            if not tries_left:
                return Ending("stopped", f"{reason} (the scheduler gives no reason: {error})")
            sleep(TRY_EVERY_S)
    raise AssertionError
