"""`asrlab watch`: follow a run that trains elsewhere."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.options import AsJson, Running
from cli.watching import watch_to_end


def watch(
    run: Running = "",
    stop: Annotated[bool, typer.Option("--stop", hidden=True)] = False,
    as_json: AsJson = False,
) -> None:
    """Follow a run until it is done; Ctrl-C ends the watching, not the run.

    Example: asrlab watch digits-1a2b3c4d
    """
    from asr_lab.errors import LabError

    if stop:
        raise LabError(f"--stop is a command of its own now: asrlab cancel {run}".rstrip())
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run, newest_running

    found = find_run(run, runs_root()) if run else newest_running(runs_root())
    print(f"{found.path}", file=sys.stderr)
    watch_to_end(found)
    from cli.result import print_result

    print_result(found, as_json)
