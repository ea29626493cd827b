"""`asrlab logs`: what a run's job printed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Running

if TYPE_CHECKING:
    from pathlib import Path

    from asr_lab.runs.jobs import JobWatch

POLL_S = 0.5


def logs(
    run: Running = "",
    rank: Annotated[int, typer.Option("--rank", min=0, help="Which of its processes.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows, until the job ends.")] = False,
) -> None:
    """Print the log of a run's job.

    Example: asrlab logs digits-1a2b3c4d --rank 1
    """
    from asr_lab.errors import RunError
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run, newest_running
    from asr_lab.runs.jobs import watch_of

    found = find_run(run, runs_root()) if run else newest_running(runs_root())
    watch = watch_of(found)
    if watch is None:
        raise RunError(f"{found.path} has no log: its process prints where it was started; its events: events.jsonl")
    files = watch.job.log_files()
    while not files and follow and watch.look().is_alive:
        time.sleep(POLL_S)
        files = watch.job.log_files()
    if not files:
        raise RunError(f"{found.path} has no log yet: job {watch.job.ids[0]} is {watch.look()}")
    if rank not in files:
        raise RunError(f"{found.path} has no log of rank {rank}; there are: {', '.join(map(str, files))}")
    print(files[rank], file=sys.stderr)
    _print(files[rank], watch if follow else None)


def _print(path: Path, watch: JobWatch | None) -> None:
    """Print a file, and while a job lives what comes to it."""
    with path.open("rb") as file:
        while True:
            is_over = watch is None or not watch.look().is_alive
            while block := file.read(1 << 16):
                sys.stdout.buffer.write(block)
            sys.stdout.flush()
            if is_over:
                return
            time.sleep(POLL_S)
