"""Watching a run to its end: what `run` and `watch` share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from asr_lab.runs.directory import RunDirectory
    from asr_lab.runs.status import RunStatus


def watch_to_end(run: RunDirectory, since: int = 0, is_starting: Callable[[], bool] = lambda: False) -> None:
    """Show a run until it is done; anything else ends the command with its reason and exit code.

    Ctrl-C ends the watching, not the run.
    """
    conclude(run, _followed(run, since, is_starting), since)


def watch_while_owned(run: RunDirectory) -> bool:
    """Show a run that another process trains until it is done; False, with a line on it, when that process is gone.

    Ends the command as `watch_to_end` does where the run was stopped or has failed.
    """
    from asr_lab.runs.lock import last_attempt

    owner = last_attempt(run.lock)
    if owner is not None and not owner.owner.is_here:
        print(f"its owner is {owner.owner}; it counts as gone when it gives no sign for a minute", file=sys.stderr)
    status = _followed(run, owner.number - 1 if owner is not None else 0)
    newest = last_attempt(run.lock)
    if status.ended and newest is not None and status.attempt == newest.number:
        conclude(run, status)
        return True
    print(f"{newest.owner if newest else 'the owner'} is gone; this command goes on in its place", file=sys.stderr)
    return False


def _followed(run: RunDirectory, since: int = 0, is_starting: Callable[[], bool] = lambda: False) -> RunStatus:
    from asr_lab.runs.view import follow, open_view

    view = open_view(run)
    try:
        return follow(run, view, since, is_starting)
    except KeyboardInterrupt:
        view.close()
        print(
            f"\nthe run goes on; watch it: asrlab watch {run.name}   end it: asrlab watch {run.name} --stop",
            file=sys.stderr,
        )
        raise typer.Exit(0) from None
    finally:
        view.close()


def conclude(run: RunDirectory, status: RunStatus, since: int = 0) -> None:
    """Raise what the end of a run calls for; nothing when it is done."""
    from asr_lab.errors import RunError, TrainingError
    from asr_lab.runs.job.stopping import INTERRUPTED

    if status.attempt <= since or not status.ended:
        raise TrainingError(_death(run, status, since))
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


def _death(run: RunDirectory, status: RunStatus, since: int) -> str:
    """What is known of a job that ended without a word."""
    from asr_lab.runs.request import AttemptRequest
    from asr_lab.runs.view import log_tail

    if status.attempt > since:
        lines = [f"{run.name}: the job is gone after step {status.step:,} without a last word (killed?)"]
    else:
        lines = [f"{run.name}: the job ended before it began"]
    tail = log_tail(run)
    if tail is not None:
        path, last = tail
        lines += [f"the end of {path}:", *(f"  {line}" for line in last)]
    lines.append(f"go on with: {AttemptRequest.read(run).resume_command}")
    return "\n".join(lines)
