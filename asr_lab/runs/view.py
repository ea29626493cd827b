"""The live view of a run: it follows the run's events, wherever the job is, and a job never knows of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from asr_lab.errors import printable
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.events import EventReader
from asr_lab.runs.jobs import JobWatch, submitted_job
from asr_lab.runs.lock import BEAT_S, SILENCE_S, Liveness, Owner
from asr_lab.runs.scheduler import JobState
from asr_lab.runs.status import RunStatus

POLL_S = 0.25
PLAIN_EVERY_S = 15.0
"""Seconds between lines when the output is not a terminal."""
DOUBT_S = 3 * BEAT_S
"""A heartbeat that stands still for so long is spoken of."""
MOST_LANGUAGES = 6
"""That a line shows; the run's page has all."""
LOG_TAIL = 20
"""Lines shown of a dead job's log."""


class View(Protocol):
    """Something that shows a run's status."""

    def show(self, status: RunStatus) -> None:
        """Show how things stand."""

    def close(self) -> None:
        """Leave the screen in order."""


class Notes:
    """Shows each note of an attempt once."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._shown = (0, 0)

    def show(self, status: RunStatus) -> None:
        """Write the notes that are new."""
        attempt, number = self._shown
        for note in status.notes[number if attempt == status.attempt else 0 :]:
            self._write(note)
        self._shown = (status.attempt, len(status.notes))


class LiveView:
    """One line with a bar, on a terminal."""

    def __init__(self, run: RunDirectory, console: Console) -> None:
        columns = (
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[line]}", markup=False),
        )
        self._console = console
        self._progress = Progress(*columns, console=console, refresh_per_second=4, transient=False)
        self._task = self._progress.add_task(run.name, total=1.0, line="")
        self._notes = Notes(lambda note: self._console.print(f"note: {printable(note)}", style="yellow", markup=False))
        self._progress.start()

    def show(self, status: RunStatus) -> None:
        """Redraw the line; warnings stay above it."""
        self._notes.show(status)
        self._progress.update(self._task, completed=status.share, line=describe(status))

    def close(self) -> None:
        """Draw a last time and let go of the terminal."""
        self._progress.stop()


class PlainView:
    """A line now and then, for files and pipes."""

    def __init__(self, run: RunDirectory, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        self._name = run.name
        self._write = write
        self._clock = clock
        self._last: tuple[object, ...] = ()
        self._at = -PLAIN_EVERY_S
        self._notes = Notes(lambda note: write(f"note: {note}"))

    def show(self, status: RunStatus) -> None:
        """Write a line when the phase or a score is new, or some time has gone by and there is something to say."""
        self._notes.show(status)
        phase = status.phase if status.phase != "training" else ""
        mark = (status.attempt, phase, status.valid, status.best_step, status.job)
        new_phase = mark != self._last and (status.phase != "training" or status.job)
        if (status.phase or status.job) and (new_phase or (status.step and self._clock() - self._at >= PLAIN_EVERY_S)):
            self._write(f"{self._name}  {status.share:4.0%}  {describe(status)}")
            self._at = self._clock()
        self._last = mark

    def close(self) -> None:
        """Nothing to put in order."""


def open_view(run: RunDirectory) -> View:
    """A live line when stderr is a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        return LiveView(run, Console(stderr=True, emoji=False))
    return PlainView(run, lambda line: print(printable(line), file=sys.stderr, flush=True))


def describe(status: RunStatus) -> str:
    """How things stand, on one line."""
    parts = [status.job or status.phase]
    if status.step:
        parts.append(f"step {status.step:,}")
        parts.append(f"epoch {status.epoch + 1}")
    if status.loss is not None:
        parts.append(f"loss {status.loss:.3f}")
    if status.valid is not None:
        best = f" (best {status.best:.1%} at {status.best_step:,})" if status.best is not None else ""
        parts.append(f"{status.metric.upper()} {status.valid:.1%}{best}{_by_language(status.languages)}")
    if status.phase == "training" and not status.job:
        if status.audio_s_per_s:
            parts.append(f"{status.audio_s_per_s:,.0f} s audio/s")
        if status.eta_s is not None:
            parts.append(f"ETA {duration(status.eta_s)}")
    return "  ".join(parts)


def _by_language(rates: Mapping[str, float]) -> str:
    """The languages with the highest error rates: ` [ru 60.1%, de 23.0%]`; "" where there are not several."""
    worst = sorted(rates, key=lambda name: -rates[name])
    rest = f" and {len(worst) - MOST_LANGUAGES} more" if len(worst) > MOST_LANGUAGES else ""
    shown = ", ".join(f"{name} {rates[name]:.1%}" for name in worst[:MOST_LANGUAGES])
    return f" [{shown}{rest}]" if shown else ""


def duration(seconds: float) -> str:
    """Seconds as people say them: `45s`, `12m30s`, `3h05m`, `2d4h`."""
    s = max(0, round(seconds))
    if s < 60:
        return f"{s}s"
    if s < 3600:
        return f"{s // 60}m{s % 60:02d}s"
    if s < 86400:
        return f"{s // 3600}h{s % 3600 // 60:02d}m"
    return f"{s // 86400}d{s % 86400 // 3600}h"


def follow(
    run: RunDirectory,
    view: View,
    since: int = 0,
    job: JobWatch | None = None,
    is_over: Callable[[], bool] | None = None,
) -> RunStatus:
    """Show a run until its newest attempt ends or is gone, or `is_over`, where given, is true; its status then.

    Attempts up to `since` are past. While no process holds the run, `job` tells whether one may still come: it waits
    in a queue, or went back into it.
    """
    reader, liveness, status = EventReader(run.events_file), Liveness(run.lock), RunStatus()
    told_silence = False
    while True:
        over = is_over is not None and is_over()
        # Asked before the events are read: whatever the holder wrote before it went is then in them.
        holder = liveness.holder()
        asks = job is not None and (holder is None or not holder.owner.is_here)
        state = job.look() if job is not None and asks else None
        for event in reader.read():
            status.add(event)
        is_still = holder is not None and liveness.still_s > DOUBT_S
        if is_still and not told_silence and holder is not None:
            status.notes.append(f"{holder.owner} gives no sign; it counts as gone after {SILENCE_S:.0f} s of silence")
        told_silence = is_still
        status.job = "" if job is None or state is None else job.silence or (str(state) if state.is_waiting else "")
        view.show(status)
        if over or (status.attempt > since and status.ended):
            return status
        if holder is None and is_over is None and (state is None or not state.is_alive):
            return status
        if holder is not None and _is_over_for(holder.owner, job, state):
            return status
        time.sleep(POLL_S)


def _is_over_for(owner: Owner, job: JobWatch | None, state: JobState | None) -> bool:
    """Whether the scheduler says that an owner on another machine is no more."""
    return job is not None and state is not None and not state.is_alive and owner.job in job.job.ids


def log_tail(run: RunDirectory) -> tuple[Path, list[str]] | None:
    """A job's log and its last lines: of the process that tells of an error, else of the newest; None without any."""
    job = submitted_job(run)
    logs = sorted((job.log_files() if job else {}).values(), key=lambda path: path.stat().st_mtime, reverse=True)
    texts = [(path, path.read_text(errors="replace")) for path in logs]
    told = [one for one in texts if "Traceback (most recent call last)" in one[1] or "\nerror: " in one[1]]
    for path, text in (told or texts)[:1]:
        return path, text.splitlines()[-LOG_TAIL:]
    return None
