"""What a command of the line came to: its own words, or a fault."""

from __future__ import annotations

import contextlib
import io
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import attrs

LIMIT_S = 120
"""Longer is a hang."""
MEMORY_MB = 2048
"""A case may add so much to what the process holds at most."""
CODES = (0, 1, 2, 130)


@attrs.frozen
class Case:
    """One input, and what it came to."""

    name: str
    fault: str
    """A traceback's last lines, a hang, memory; empty where the command answered in its own words."""
    seconds: float


class Hang(BaseException):
    """Raised by the clock."""


def called(name: str, words: Sequence[str]) -> Case:
    """Give words to the command line in this process."""
    return judged(name, lambda: told_by(words)[0])


def told_by(words: Sequence[str]) -> tuple[str, BaseException | None]:
    """Give words to the command line: a fault in its exit code, if any, and the error that it told."""
    from cli.main import app

    try:
        code = app(list(words), standalone_mode=False, prog_name="asrlab") or 0
    except BaseException as error:
        if isinstance(error, Hang) or _fault_of(error):
            raise
        return "", error
    return "" if code in CODES else f"exit code {code!r}", None


def judged(name: str, action: Callable[[], str | None]) -> Case:
    """What an action comes to, which returns what is wrong or nothing."""
    began, held = time.monotonic(), _peak_mb()
    output = io.StringIO()
    try:
        with _within(LIMIT_S), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            fault = action() or ""
    except Hang:
        fault = f"did not end within {LIMIT_S} s"
    except BaseException as error:
        fault = _fault_of(error)
    if (grown := _peak_mb() - held) > MEMORY_MB:
        fault = fault or f"took {grown:.0f} MB"
    return Case(name, fault, time.monotonic() - began)


def _fault_of(error: BaseException) -> str:
    import click

    from asr_lab.errors import LabError, TrainingError

    told = isinstance(error, LabError | TrainingError | click.exceptions.Exit | click.ClickException)
    if told or (isinstance(error, SystemExit) and error.code in CODES):
        return ""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:200]} at {place.filename}:{place.lineno}"


@contextlib.contextmanager
def _within(seconds: int) -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
