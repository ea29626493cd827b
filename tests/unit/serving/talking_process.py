"""The server of `talking` as a process of its own, with a limit of open files, as `asrlab serve` starts it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import attrs

sys.path.insert(0, str(Path(__file__).parent))


@attrs.frozen
class Process:
    """A running server."""

    port: int
    pid: int
    log: Path
    """What it wrote to stderr."""
    words: IO[str]
    """What it prints."""

    @property
    def cpu_s(self) -> float:
        """Processor time that it has taken, in its code and the kernel's."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mb(self) -> float:
        """What it holds at most."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@contextlib.contextmanager
def server_process(
    folder: Path, *, files: int = 1024, request_s: float = 10.0, full_s: float = 0.0, idle_s: float = 30.0
) -> Iterator[Process]:
    """A server with `ulimit -n FILES`; for its first `full_s` seconds all files but three are open already."""
    own = f"{sys.executable} {__file__} {request_s} {full_s} {idle_s}"
    log = folder / "server.log"
    with (
        log.open("w") as complaints,
        subprocess.Popen(
            ["bash", "-c", f"ulimit -n {files}; exec {own}"], stdout=subprocess.PIPE, stderr=complaints, text=True
        ) as running,
    ):
        assert running.stdout is not None
        try:
            port = running.stdout.readline().strip()
            assert port, log.read_text()
            yield Process(int(port), running.pid, log, running.stdout)
            assert running.poll() is None, log.read_text()
        finally:
            running.terminate()


def _main(request_s: float, full_s: float, idle_s: float) -> None:
    from talking import RATE, TURN, Digesting

    from asr_lab.serving.app import About, build_app
    from asr_lab.serving.limits import ServingLimits
    from asr_lab.serving.server import bind, limits_here, serve
    from asr_lab.serving.worker import Worker

    def announce() -> None:
        if full_s:
            held = list(_all_but_three())
            threading.Timer(full_s, lambda: [os.close(file) for file in held]).start()
        print(listening.getsockname()[1], flush=True)

    with bind("127.0.0.1", 0) as listening:
        worker = Worker(Digesting(), RATE, TURN)
        limits = limits_here(ServingLimits(request_s=request_s, idle_s=idle_s))
        app = build_app(worker, About("a_run", RATE, 100.0, 100.0), limits, "127.0.0.1")
        serve(app, worker, listening, limits, announce)
    print("stopped", flush=True)


def _all_but_three() -> Iterator[int]:
    held = []
    with contextlib.suppress(OSError):
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    for _ in range(7):  # the event loop takes four
        os.close(held.pop())
    yield from held


if __name__ == "__main__":
    _main(*map(float, sys.argv[1:]))
