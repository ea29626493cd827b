"""The owner of a run's directory: one process at a time, on any machine that shares it.

Every attempt at a run has a number, and taking the lock is creating the file of the next number, which only one
process can do. The highest number owns the run: an owner that was overtaken sees it before it writes a checkpoint. No
`flock`, since shared file systems keep it badly.

    lock/0001.json   the owner: token, host, boot, machine, process namespace, pid, process start time, job id
    lock/0001.beat   a counter that the owner raises every few seconds
    lock/0001.end    the owner let go
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar

import attrs

from asr_lab.config.stored import read_stored
from asr_lab.errors import RunError, RunInUse
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
    machine: str = ""
    """The machine's id, which outlives a boot; empty where there is none."""
    inode: int = 0
    """Of the lock's folder: a copy of it has another. 0 = not written down."""

    @classmethod
    def me(cls, job: str = "", folder: Path | None = None) -> Owner:
        """This process, as the owner of a lock's folder."""
        host, boot, space = _place()
        pid = os.getpid()
        return cls(
            token=secrets.token_hex(8),
            host=host,
            boot=boot,
            space=space,
            pid=pid,
            started=process_started(pid) or 0,
            job=job,
            time=time.time(),
            machine=_machine(),
            inode=folder.stat().st_ino if folder is not None else 0,
        )

    @property
    def is_here(self) -> bool:
        """Whether its pid can be looked up by this process."""
        return (self.host, self.boot, self.space) == _place()

    @property
    def is_gone(self) -> bool:
        """Whether the process is provably no more; False for one elsewhere, of which nothing is known."""
        if self.is_here:
            return process_started(self.pid) != self.started
        host, boot, _ = _place()
        return (self.host, self.machine) == (host, _machine()) and self.boot != boot  # this machine was started anew

    def is_of(self, folder: Path) -> bool:
        """Whether a lock's folder is the one that was taken, not a copy of it; known of a process of this machine."""
        return not self.is_here or self.inode in (0, folder.stat().st_ino)

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
    owner = read_stored(_file(folder, number, "json"), Owner)
    ended = _file(folder, number, "end").exists() or not owner.is_of(folder)
    return Attempt(number, owner, ended, _beat(folder, number))


class Liveness:
    """Whether the newest attempt at a run is alive, as seen by a reader that looks again and again.

    On the owner's own machine the process itself is looked up, and an earlier boot's is gone. The heartbeat must move
    too, by this reader's clock: the clocks of two machines are never compared. What a process has seen of a heartbeat
    counts for all its readers, so that one that has waited need not wait again.
    """

    _seen: ClassVar[dict[Path, tuple[str, int, float]]] = {}
    """By lock: the newest attempt's token, its heartbeat, and since when both stand so, by this process's clock."""

    def __init__(self, folder: Path, silence_s: float = SILENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder.absolute()
        self.silence_s = silence_s
        self.clock = clock

    def holder(self) -> Attempt | None:
        """The attempt that holds the run as far as is known; None when none does."""
        attempt = last_attempt(self.folder)
        return attempt if attempt is not None and self.holds(attempt) else None

    @property
    def still_s(self) -> float:
        """How long the heartbeat stands as it was last seen."""
        return self.clock() - self._seen[self.folder][-1] if self.folder in self._seen else 0.0

    def holds(self, attempt: Attempt) -> bool:
        """Whether this attempt, the newest that was read, holds the run as far as is known."""
        if attempt.ended or attempt.owner.is_gone:
            return False
        now, seen = self.clock(), (attempt.owner.token, attempt.beat)
        *before, since = self._seen.get(self.folder, ("", 0, now))
        if tuple(before) != seen:
            since = now
        self._seen[self.folder] = (*seen, since)
        return now - since < self.silence_s


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
        """Become the owner; RunInUse when another process is, or may be for longer than `wait_s` seconds.

        A silent owner on another machine is known to be gone after `silence_s`: give that long to take its place.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise RunError(f"{folder} is damaged: it is no folder; remove it") from error
        liveness = Liveness(folder, silence_s)
        deadline = time.monotonic() + wait_s
        is_announced = False
        while True:
            last = last_attempt(folder)
            if last is None or not liveness.holds(last):
                # The one after the attempt that was judged: read anew, the newest might be one that lives by now.
                number = last.number + 1 if last else 1
                owner = Owner.me(job, folder)
                if create_text(_file(folder, number, "json"), json.dumps(attrs.asdict(owner))):
                    lock = cls(folder, number, owner, beat_s)
                    lock._thread.start()
                    return lock
                continue
            if time.monotonic() >= deadline:
                raise RunInUse(f"{folder.parent} is in use by {last.owner} (attempt {last.number})")
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
        with contextlib.suppress(OSError):  # without it the process is looked up
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


@functools.cache
def _machine() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip()
    except (OSError, ValueError):
        return ""


def _file(folder: Path, number: int, kind: str) -> Path:
    return folder / f"{number:04d}.{kind}"


def _beat(folder: Path, number: int) -> int:
    try:
        return int(_file(folder, number, "beat").read_text())
    except (OSError, ValueError):
        return 0
