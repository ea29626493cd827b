"""Signals that ask a run to end: it saves at the next step's end; asked again, it ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType, TracebackType

INTERRUPTED = 130
"""Exit code of a command that was asked to end (the shell's own for Ctrl-C)."""

_REASONS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "the terminal's end",
    signal.SIGUSR2: "the job's time limit",
}


class Stopper:
    """Within `with Stopper() as stop`, signals set `stop.reason` and do nothing else; a second one ends the process.

    Workers forked inside inherit the handlers; there they do nothing: the training process ends its workers.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._process = os.getpid()
        self._before: dict[signal.Signals, signal._HANDLER] = {}

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
            _say(b"\nended at once; the last checkpoint stands\n")
            os._exit(INTERRUPTED)
        self.reason = _REASONS[signal.Signals(number)]
        _say(b"\nsaving after this step; once more ends at once\n")


def _say(text: bytes) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(2, text)
