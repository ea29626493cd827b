"""The owner of a run's directory: one process at a time, on any machine that shares it.

Every attempt at a run has a number, and taking the lock is creating the file of the next number, which only one
process can do. The highest number owns the run: an owner that was overtaken sees it before it writes a checkpoint. No
`flock`, since shared file systems keep it badly.

    lock/0001.json   the owner: token, host, boot, process namespace, pid, process start time, job id
    lock/0001.beat   a counter that the owner raises every few seconds
    lock/0001.end    the owner let go
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import attrs

from asr_lab.errors import RunError
from asr_lab.files import create_text, write_text

BEAT_S = 5.0
"""Seconds between heartbeats."""
SILENCE_S = 60.0
"""A heartbeat that stood still for so long, by the reader's own clock, means that its owner is gone."""


@attrs.frozen
class Owner:
    """A process that trains, or trained, in a run's directory."""

    token: str
    host: str
    boot: str
    """The kernel's boot id: a machine that was started anew is another one."""
    space: str
    """The process namespace: a pid means nothing outside its own."""
    pid: int
    started: int
    """When the process started, in clock ticks since boot: pids are used again."""
    job: str
    """The scheduler's job id; empty for a process of the command line."""
    time: float
    """Seconds since 1970 when the lock was taken."""

    @classmethod
    def me(cls, job: str = "") -> Owner:
        """This process."""
        host, boot, space = _place()
        pid = os.getpid()
        return cls(secrets.token_hex(8), host, boot, space, pid, process_started(pid) or 0, job, time.time())

    @property
    def is_here(self) -> bool:
        """Whether its pid can be looked up by this process."""
        return (self.host, self.boot, self.space) == _place()

    @property
    def is_gone(self) -> bool:
        """Whether the process is provably no more; False for one elsewhere, of which nothing is known."""
        return self.is_here and process_started(self.pid) != self.started

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


@attrs.frozen
class Attempt:
    """One entry of the lock: its number, its owner, and what its files say now."""

    number: int
    owner: Owner
    ended: bool
    beat: int


def last_attempt(folder: Path) -> Attempt | None:
    """The newest attempt in a lock's folder; None when there was none."""
    numbers = sorted((int(f.stem) for f in folder.glob("*.json") if f.stem.isdigit()), reverse=True)
    if not numbers:
        return None
    number = numbers[0]
    try:
        owner = Owner(**json.loads(_file(folder, number, "json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{_file(folder, number, 'json')} cannot be read: {error}") from error
    return Attempt(number, owner, _file(folder, number, "end").exists(), _beat(folder, number))


class Liveness:
    """Whether the newest attempt at a run is alive, as seen by a reader that looks again and again.

    On the owner's own machine the process itself is looked up; elsewhere its heartbeat must move, by this reader's
    clock: the clocks of two machines are never compared.
    """

    def __init__(self, folder: Path, silence_s: float = SILENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.silence_s = silence_s
        self.clock = clock
        self._seen: tuple[int, int] | None = None
        self._since = clock()

    def holder(self) -> Attempt | None:
        """The attempt that holds the run as far as is known; None when none does."""
        attempt = last_attempt(self.folder)
        return attempt if attempt is not None and self.holds(attempt) else None

    def holds(self, attempt: Attempt) -> bool:
        """Whether this attempt, the newest that was read, holds the run as far as is known."""
        if attempt.ended or attempt.owner.is_gone:
            return False
        seen = (attempt.number, attempt.beat)
        if seen != self._seen:
            self._seen, self._since = seen, self.clock()
        return self.clock() - self._since < self.silence_s


class RunLock:
    """Held for as long as a process trains in a run's directory: `with RunLock.take(folder) as lock`."""

    def __init__(self, folder: Path, attempt: int, owner: Owner, beat_s: float = BEAT_S) -> None:
        self.folder = folder
        self.attempt = attempt
        self.owner = owner
        self.beat_s = beat_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)

    @classmethod
    def take(
        cls,
        folder: Path,
        job: str = "",
        wait_s: float = 0.0,
        beat_s: float = BEAT_S,
        silence_s: float = SILENCE_S,
        on_wait: Callable[[Attempt], None] | None = None,
    ) -> RunLock:
        """Become the owner; RunError when another process is, or may be for longer than `wait_s` seconds.

        A silent owner on another machine is known to be gone after `silence_s`: give that long to take its place.
        """
        folder.mkdir(parents=True, exist_ok=True)
        liveness = Liveness(folder, silence_s)
        deadline = time.monotonic() + wait_s
        is_announced = False
        while True:
            last = last_attempt(folder)
            if last is None or not liveness.holds(last):
                # The one after the attempt that was judged: read anew, the newest might be one that lives by now.
                number = last.number + 1 if last else 1
                owner = Owner.me(job)
                if create_text(_file(folder, number, "json"), json.dumps(attrs.asdict(owner))):
                    lock = cls(folder, number, owner, beat_s)
                    lock._thread.start()
                    return lock
                continue
            if time.monotonic() >= deadline:
                raise RunError(f"{folder.parent} is in use by {last.owner} (attempt {last.number})")
            if on_wait is not None and not is_announced:
                on_wait(last)
                is_announced = True
            time.sleep(min(1.0, silence_s / 10))

    def check(self) -> None:
        """Make sure that this process still owns the run; RunError when another one took its place."""
        current = last_attempt(self.folder)
        if current is None or current.owner.token != self.owner.token:
            by = f"by {current.owner}" if current else "away"
            raise RunError(f"{self.folder.parent} was taken over {by}; this process stops without saving")

    def release(self) -> None:
        """Let go; the next attempt need not wait."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        create_text(_file(self.folder, self.attempt, "end"), "")

    def _keep_beating(self) -> None:
        count = 0
        while not self._stop.is_set():
            count += 1
            with contextlib.suppress(OSError):  # a full disk must not end training here
                write_text(_file(self.folder, self.attempt, "beat"), str(count))
            self._stop.wait(self.beat_s)

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def process_started(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when there is none, or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _place() -> tuple[str, str, str]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname(), boot, os.readlink("/proc/self/ns/pid")


def _file(folder: Path, number: int, kind: str) -> Path:
    return folder / f"{number:04d}.{kind}"


def _beat(folder: Path, number: int) -> int:
    try:
        return int(_file(folder, number, "beat").read_text())
    except (OSError, ValueError):
        return 0
