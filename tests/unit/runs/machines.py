"""Commands as processes on machines of their own making.

Every command is forked from a server that has torch loaded, and `asrlab` is called in it as typed. What the machine
says of itself, its clock and its disk are changed inside; silence and heartbeats are shortened.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import io
import multiprocessing
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.proofs.jobs import PRELOADED

BEAT_S, SILENCE_S = 0.1, 2.0
"""In the place of 5 and 60 seconds."""
LIMIT_S = 240.0
OURS = ("ASRLAB_DATA", "ASRLAB_CACHE", "ASRLAB_RUNS", "OMP_NUM_THREADS", "WORLD_SIZE")
"""Variables that a command gets from the test, not from the server it is forked from."""


@attrs.frozen
class Machine:
    """What a process takes its machine for; empty = what it is."""

    host: str = ""
    boot: str = ""
    machine: str = ""
    space: str = ""
    clock_s: float = 0.0
    """Added to the time of day."""
    jump_s: float = 0.0
    """Added to it as well, from a second after the start on."""
    refuses: int = 0
    """The error number of whatever would write, make, rename or remove a file below `refused`; 0 = nothing is."""
    refused: str = ""
    file_bytes: int = 0
    """No file may grow larger; 0 = as large as it wants."""
    has_locks: bool = True
    """Whether its file systems know `flock` and `fcntl` locks: many that are shared do not."""


def behave(machine: Machine) -> None:
    """Make this process believe in the machine, and let it lose patience soon."""
    from asr_lab.runs import lock

    lock.RunLock.take.__func__.__defaults__ = ("", 0.0, BEAT_S, SILENCE_S, None)  # type: ignore[attr-defined]
    lock.RunLock.__init__.__defaults__ = (BEAT_S,)  # type: ignore[misc]
    lock.Liveness.__init__.__defaults__ = (SILENCE_S, time.monotonic)  # type: ignore[misc]
    host, boot, space = lock._place()
    place = (machine.host or host, machine.boot or boot, machine.space or space)
    lock._place = lambda: place
    if machine.machine:
        lock._machine = lambda: machine.machine  # type: ignore[assignment]
    if machine.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (machine.file_bytes, resource.RLIM_INFINITY))
    if machine.refuses:
        refuse(machine.refuses, machine.refused)
    if not machine.has_locks:
        refuse_locks()
    if machine.clock_s or machine.jump_s:
        now, began = time.time, time.monotonic()
        time.time = lambda: now() + machine.clock_s + machine.jump_s * (time.monotonic() - began > 1)


def refuse(number: int, below: str) -> None:
    """Have the disk below a folder refuse: for errors that only a disk of its own could give."""

    def refusing(function: Any, is_write: Callable[..., bool] = lambda *_: True) -> Any:
        def asked(path: Any, *rest: Any, **named: Any) -> Any:
            is_name = isinstance(path, str | bytes | os.PathLike)
            if is_name and os.path.abspath(os.fsdecode(path)).startswith(below) and is_write(*rest, *named.values()):
                raise OSError(number, os.strerror(number), os.fsdecode(path))
            return function(path, *rest, **named)

        return asked

    io.open = builtins.open = refusing(io.open, lambda mode="r", *_: isinstance(mode, str) and mode.strip("rbtU") != "")  # type: ignore[assignment]
    os.open = refusing(os.open, lambda flags=0, *_: bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)))
    for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "link", "utime"):
        setattr(os, name, refusing(getattr(os, name)))


def refuse_locks() -> None:
    """Have the kernel answer each request for a file lock with ENOLCK, in this process and those it starts."""
    load, jump_if, give = 0x20, 0x15, 0x06  # instructions of BPF; what is judged is a struct seccomp_data
    number, command, allowed, refused = 0, 24, 0x7FFF0000, 0x00050000 | errno.ENOLCK
    flock, fcntl, locking = 73, 72, (6, 7, 37, 38)  # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW
    program = [(load, 0, 0, number), (jump_if, 7, 0, flock), (jump_if, 0, 5, fcntl), (load, 0, 0, command)]
    program += [(jump_if, 4 - i, 0, one) for i, one in enumerate(locking)]
    program += [(give, 0, 0, allowed), (give, 0, 0, refused)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
    whole = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, whole, 0, 0) == 0, os.strerror(ctypes.get_errno())  # PR_SET_SECCOMP


def called(words: list[str], output: str, variables: dict[str, str], folder: str, machine: Machine) -> None:
    """The body of a process: `asrlab` with these words, as a terminal would start it."""
    from cli.main import main

    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.setpgid(0, 0)
    os.chdir(folder)
    for name in OURS:
        os.environ.pop(name, None)
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    behave(machine)
    sys.argv = ["asrlab", *words]
    code: object = 0
    try:
        main()
    except SystemExit as error:
        code = error.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else 1)


@attrs.define
class Place:
    """A folder of runs, and the one recipe that is run there."""

    recipe: Path
    root: Path
    num_commands: int = 0

    @property
    def run(self) -> RunDirectory:
        """The only run; wait for it where a command is about to make it."""
        until = time.monotonic() + LIMIT_S
        while not (found := [p for p in self.root.glob("*/resolved.json") if not p.parent.name.startswith(".")]):
            assert time.monotonic() < until, "no run came to be"
            time.sleep(0.002)
        (one,) = found
        return RunDirectory(one.parent)

    def command(self, *words: str, machine: Machine = Machine()) -> Command:
        """Start `asrlab`; without words, `asrlab run` of the recipe."""
        self.num_commands += 1
        self.root.mkdir(exist_ok=True)
        output = self.root.parent / f"{self.root.name}-{self.num_commands}.log"
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*PRELOADED, "cli.main", "cli.result", "machines"])
        variables = {name: os.environ[name] for name in OURS if name in os.environ} | {"ASRLAB_RUNS": str(self.root)}
        arguments = (list(words or ("run", str(self.recipe))), str(output), variables, str(self.root.parent), machine)
        process = context.Process(target=called, args=arguments)
        process.start()
        return Command(process, output)


@attrs.define
class Command:
    """A command under way."""

    process: Any
    output: Path
    began: float = attrs.field(factory=time.monotonic)

    @property
    def printed(self) -> str:
        """What it said so far."""
        return self.output.read_text() if self.output.exists() else ""

    def send(self, number: signal.Signals) -> bool:
        """Give it a signal; False where it has ended."""
        if self.process.is_alive():
            os.kill(self.process.pid, number)
        return self.process.is_alive()

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        self.process.join(LIMIT_S)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"{self.output} did not end:\n{self.printed}")
        code: int = self.process.exitcode
        assert "Traceback" not in self.printed, self.printed
        return code

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.join()


def wait_until(holds: Callable[[], Any], command: Command) -> None:
    """Wait for something that the command does, or for its end."""
    until = time.monotonic() + LIMIT_S
    while not holds() and command.process.is_alive():
        assert time.monotonic() < until, command.printed
        time.sleep(0.002)
