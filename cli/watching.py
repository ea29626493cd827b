"""Watching a run to its end: what `run` and `watch` share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from asr_lab.runs.directory import RunDirectory
    from asr_lab.runs.jobs import JobWatch
    from asr_lab.runs.status import RunStatus


def watch_to_end(run: RunDirectory, job: JobWatch | None = None) -> None:
    """Show a run until it is done; anything else ends the command with its reason and exit code.

    `job` is one that was submitted just now. Ctrl-C ends the watching, not the run.
    """
    from asr_lab.runs.jobs import watch_of

    watch = watch_of(run) if job is None else job
    since = _since(run, watch) if job is None else job.job.since
    conclude(run, _followed(run, since, watch), since, watch)


def watch_while_owned(run: RunDirectory) -> bool:
    """Show a run that another process trains until it is done; False, with a line on it, when that process is gone.

    Ends the command as `watch_to_end` does where the run was stopped or has failed.
    """
    from asr_lab.runs.jobs import watch_of
    from asr_lab.runs.lock import last_attempt

    owner = last_attempt(run.lock)
    if owner is not None and not owner.ended and not owner.owner.is_here:
        print(f"its owner is {owner.owner}; it counts as gone when it gives no sign for a minute", file=sys.stderr)
    watch = watch_of(run)
    since = _since(run, watch)
    status = _followed(run, since, watch)
    newest = last_attempt(run.lock)
    is_lost = watch is not None and watch.job.cluster == "slurm" and not status.ended
    if newest is None or newest.number <= since or is_lost:
        conclude(run, status, since, watch)  # its job ended: whether to submit another is not for those who watch
    if status.ended and newest is not None and status.attempt == newest.number:
        conclude(run, status)
        return True
    print(f"{newest.owner if newest else 'the owner'} is gone; this command goes on in its place", file=sys.stderr)
    return False


def _since(run: RunDirectory, watch: JobWatch | None) -> int:
    """The newest attempt that is past: a job that waits is one of those to come."""
    from asr_lab.runs.status import state_of, status_of

    state, holder = state_of(run, status_of(run), watch)
    if state == "queued" and watch is not None:
        return watch.job.since
    return 0 if holder is None else holder.number - 1


def _followed(run: RunDirectory, since: int = 0, job: JobWatch | None = None) -> RunStatus:
    from asr_lab.runs.view import follow, open_view

    view = open_view(run)
    try:
        return follow(run, view, since, job)
    except KeyboardInterrupt:
        view.close()
        print(
            f"\nthe run goes on; watch it: asrlab watch {run.name}   end it: asrlab cancel {run.name}",
            file=sys.stderr,
        )
        raise typer.Exit(0) from None
    finally:
        view.close()


def conclude(run: RunDirectory, status: RunStatus, since: int = 0, job: JobWatch | None = None) -> None:
    """Raise what the end of a run calls for; nothing when it is done."""
    from asr_lab.errors import RunError, TrainingError
    from asr_lab.runs.job.stopping import INTERRUPTED

    if status.attempt <= since or not status.ended:
        raise TrainingError(_death(run, status, since, job))
    if status.phase == "stopped":
        say_stopped(run)
        raise typer.Exit(INTERRUPTED)
    if status.error is not None:
        kind = RunError if status.error.get("exit") == 2 else TrainingError
        raise kind(status.error["message"] + status.error.get("traceback", "").join(["\n", ""]).rstrip())


def say_stopped(run: RunDirectory) -> None:
    """How to go on with a run that was asked to end."""
    from asr_lab.runs.request import AttemptRequest
    from asr_lab.runs.status import status_of

    status = status_of(run)
    print(f"stopped by {status.reason} after step {status.step:,}, saved", file=sys.stderr)
    print(f"go on with: {AttemptRequest.read(run).resume_command}", file=sys.stderr)


def _death(run: RunDirectory, status: RunStatus, since: int, job: JobWatch | None) -> str:
    """What is known of a job that ended without a word of its own."""
    from asr_lab.runs.request import AttemptRequest
    from asr_lab.runs.view import log_tail

    began = status.attempt > since
    if job is not None and job.job.cluster == "slurm":
        state = job.look()
        when = f"after step {status.step:,}" if began else "before it began"
        lines = [f"{run.name}: job {job.job.ids[0]} ended {when}: {state}"]
        if state.word == "PREEMPTED":
            lines.append("this cluster cancels preempted jobs; with launch.resubmit = 3 as many wait to take over")
    elif began:
        lines = [f"{run.name}: the job is gone after step {status.step:,} without a last word (killed?)"]
    else:
        lines = [f"{run.name}: the job ended before it began"]
    tail = log_tail(run)
    if tail is not None:
        path, last = tail
        lines += [f"the end of {path}:", *(f"  {line}" for line in last)]
    lines.append(f"go on with: {AttemptRequest.read(run).resume_command}")
    return "\n".join(lines)
