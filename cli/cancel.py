"""`asrlab cancel`: end a run that trains elsewhere."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.options import Running


def cancel(
    run: Running = "",
    now: Annotated[bool, typer.Option("--now", help="Do not wait for it to save.")] = False,
) -> None:
    """Have a run save and end, or leave the queue.

    Example: asrlab cancel digits-1a2b3c4d
    """
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.dispatch import cancel as cancel_run
    from asr_lab.runs.find import find_run, newest_running
    from asr_lab.runs.job.stopping import INTERRUPTED
    from cli.watching import watch_to_end

    found = find_run(run, runs_root()) if run else newest_running(runs_root())
    print(f"{found.path}", file=sys.stderr)
    cancel_run(found, now)
    if now:
        print("it is ended at once; its newest checkpoint stands", file=sys.stderr)
        return
    try:
        watch_to_end(found)
    except typer.Exit as end:
        if end.exit_code != INTERRUPTED:
            raise
