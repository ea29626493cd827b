"""The processes that train a study's points on this machine, each with its share of processors and GPUs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_lab.devices import environment_beside, visible_gpus
from asr_lab.runs.code_snapshot import snapshot_environment
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.jobs import SubmittedJob, boot_id
from asr_lab.runs.lock import last_attempt, process_started
from asr_lab.runs.status import RunStatus
from asr_lab.runs.study.point_job import JobEnd, PointJob
from asr_lab.runs.study.worker import IN_USE


def default_workers() -> int:
    """One for each GPU; one on a machine without."""
    return max(1, len(visible_gpus()))


class Pool:
    """So many processes at once; they end with the study, saved."""

    outlives_the_study = False

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._used: list[StudyProcess] = []

    def num_free(self, num_active: int, num_waiting: int) -> int:
        """The slots that are left."""
        return max(0, self.workers - num_active)

    def start(self, runs: Sequence[tuple[RunDirectory, Path]]) -> list[PointJob]:
        """Start a process for each."""
        return [self._process(run, snapshot) for run, snapshot in runs]

    def taken_up(self, run: RunDirectory) -> PointJob | None:
        """None: a process that another study started is that one's."""
        return None

    def _process(self, run: RunDirectory, snapshot: Path) -> StudyProcess:
        self._used = [one for one in self._used if one.exit_code is None]
        slot = min(set(range(self.workers)) - {one.slot for one in self._used}, default=0)
        process = StudyProcess(run, snapshot, slot, environment_beside(slot, self.workers, os.environ))
        self._used.append(process)
        return process


class StudyProcess:
    """A process that does the job of one run, in a session of its own."""

    def __init__(self, run: RunDirectory, snapshot: Path, slot: int, environ: Mapping[str, str]) -> None:
        self.slot = slot
        newest = last_attempt(run.lock)
        self.since = newest.number if newest else 0
        run.submitit.mkdir(exist_ok=True)
        fresh = run.submitit / "new.out"
        with fresh.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "asr_lab.runs.study.worker", str(run.path.resolve())],
                env=snapshot_environment(snapshot, environ),
                stdin=subprocess.PIPE,  # its end tells the process that the study is gone
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        pid = self._process.pid
        self.log = fresh.rename(run.submitit / f"{pid}_0_log.out")
        place, started = str(run.submitit.resolve()), process_started(pid) or 0
        SubmittedJob("local", (str(pid),), place, self.since, started, boot_id()).write(run)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; below 0, the signal that killed it."""
        return self._process.poll()

    def end(self, status: RunStatus) -> JobEnd | None:
        """How it ended; None while it runs."""
        code = self.exit_code
        if code is None:
            return None
        if code < 0:
            return JobEnd(f"killed by {_signal_name(-code)} after step {status.step:,}")
        return JobEnd(f"its process ended: {self._last_line()} (all of it: {self.log})", code == IN_USE)

    def stop(self) -> None:
        """Ask it to save and end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)

    def close(self) -> None:
        """Let go of a process that has ended; one that has not is asked to, by the end of its pipe."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1] if lines else "it printed nothing"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
