"""What a command of the line came to: its own words, or a fault."""

from __future__ import annotations

import contextlib
import io
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import attrs

LIMIT_S = 120
"""Longer is a hang."""
MEMORY_MB = 2048
"""A case may add so much to what the process holds at most."""
KILO = 1024 if sys.platform == "linux" else 1024**2
"""Of a process's peak, in the system's unit, in a megabyte."""
CODES = (0, 1, 2, 130)


@attrs.frozen
class Case:
    """One input, and what it came to."""

    name: str
    fault: str
    """A traceback's last lines, a hang, memory; empty where the command answered in its own words."""
    seconds: float
    peak_mb: float = 0.0
    """The most memory that the process held."""


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
    return Case(name, fault, time.monotonic() - began, _peak_mb())


def started(name: str, words: Sequence[str], limit_s: float = LIMIT_S) -> Case:
    """Give words to the command line in a process of its own, as a shell does."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        code, peak_mb = _waited(process, began + limit_s)
        output.seek(0)
        printed = output.read().decode(errors="replace")
    fault = ""
    if code is None:
        fault = f"did not end within {limit_s:.0f} s"
    elif "Traceback" in printed:
        fault = " | ".join(printed.strip().splitlines()[-3:])
    elif code not in CODES:
        fault = f"exit code {code}: {printed[-200:]}"
    elif code and not printed.strip():
        fault = f"exit code {code} without a word"
    elif peak_mb > MEMORY_MB:
        fault = f"took {peak_mb:.0f} MB"
    return Case(name, fault, time.monotonic() - began, peak_mb)


def _held_mb(pid: int) -> float:
    """The most that a process held since it was started: what `wait4` tells of it begins with its parent's."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0.0)


def _waited(process: subprocess.Popen[bytes], deadline: float) -> tuple[int | None, float]:
    """A process's exit code, None for one that had to be killed, and the most memory that it held."""
    most = 0.0
    while True:
        most = max(most, _held_mb(process.pid))
        if process.poll() is not None:
            return process.returncode, most
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            return None, most
        time.sleep(0.01)


def _fault_of(error: BaseException) -> str:
    import click

    from asr_lab.errors import LabError, TrainingError, is_of_environment

    told = isinstance(error, LabError | TrainingError | click.exceptions.Exit | click.ClickException)
    told = told or (isinstance(error, OSError) and is_of_environment(error))  # as cli.main has it
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
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KILO
