"""A log that clients cannot fill: after a first hundred, a record a minute, with the number of those left out."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

import attrs

LOGGERS = ("uvicorn.error", "asyncio", "asr_lab.serving.worker")
"""What the server, its event loop and the recogniser's thread log to."""
BURST = 100
GAP_S = 60.0


class Sparse(logging.Filter):
    """Lets `BURST` records of each level through, and from then on one each `GAP_S` seconds; unused ones are saved up.

    Levels are counted apart: clients can cause any number of warnings, which must not hide the server's own errors.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._levels: dict[int, _Allowed] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written; those that are not are counted, and the next one that is tells how many."""
        if is_the_clients_fault(record):
            return False
        now_s = self._clock()
        level = self._levels.setdefault(record.levelno, _Allowed(now_s))
        level.records = min(BURST, level.records + (now_s - level.at_s) / GAP_S)
        level.at_s = now_s
        if level.records < 1:
            level.left_out += 1
            return False
        level.records -= 1
        if level.left_out:
            record.msg = f"{record.getMessage()} ({level.left_out} records before this one were left out)"
            record.args = ()
            level.left_out = 0
        return True


@attrs.define
class _Allowed:
    """What a level may still write."""

    at_s: float
    """When this was counted."""
    records: float = BURST
    left_out: int = 0


def is_the_clients_fault(record: logging.LogRecord) -> bool:
    """Whether a record is a traceback for a client's text that is not UTF-8."""
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        if isinstance(error, UnicodeDecodeError):
            return True
        error = error.__context__  # while the connection closes, uvicorn stumbles over its own answer to it
    return False


@contextlib.contextmanager
def sparse_log() -> Iterator[None]:
    """Meanwhile what the server logs is bounded."""
    sparse = Sparse()
    for name in LOGGERS:
        logging.getLogger(name).addFilter(sparse)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(sparse)
