"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import attrs

from asr_lab.devices import num_processors


@attrs.frozen
class Environment:
    """The machine and the software; it is read without importing torch."""

    cpu: str
    cores: int
    """Those that this process may use."""
    threads: int
    """Those that a measurement uses."""
    load: float
    """Processes that ran or waited over the last minute, as the benchmark began; near 0 on an idle machine."""
    memory_gb: float
    python: str
    torch: str

    def lines(self) -> list[str]:
        """For people."""
        idle = "" if self.load < 0.3 else ": not idle, something else may have slowed what was measured first"
        return [
            f"CPU      {self.cpu}, {self.cores} cores, {self.memory_gb:.0f} GB",
            f"threads  {self.threads}",
            f"load     {self.load:.2f} at the start{idle}",
            f"torch    {self.torch} (Python {self.python}, {platform.system()})",
        ]


def environment(threads: int) -> Environment:
    """This machine's."""
    return Environment(
        cpu=_cpu(),
        cores=num_processors(),
        threads=threads,
        load=os.getloadavg()[0],
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        python=platform.python_version(),
        torch=version("torch"),
    )


def default_threads() -> int:
    """`OMP_NUM_THREADS` where it is set, else every core that this process may use."""
    return int(os.environ.get("OMP_NUM_THREADS") or num_processors())


def resident_mb(peak: bool = False) -> float:
    """Memory that this process holds, or held at most, in MB.

    The kernel's own counters of this address space: `getrusage` would count what the parent held when it forked.
    """
    key = "VmHWM:" if peak else "VmRSS:"
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"no {key[:-1]} in /proc/self/status")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
