"""`asrlab run`: train a recipe, or go on with it, and score it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AcceptChanges, AsJson, Overrides
from cli.watching import say_stopped, watch_to_end

if TYPE_CHECKING:
    from asr_lab.runs.dispatch import Prepared
    from asr_lab.slots.launch import Launch


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe.")],
    overrides: Overrides = [],  # noqa: B006
    detach: Annotated[bool, typer.Option("--detach", help="Start a job of its own and return.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Train afresh, beside what is there.")] = False,
    accept_changes: AcceptChanges = False,
    as_json: AsJson = False,
) -> None:
    """Train a recipe and score it; started again, it goes on where it was.

    Example: asrlab run recipes/quickstart.toml
    """
    from asr_lab.compiler.load import load_recipe

    document = load_recipe(recipe, overrides)
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.dispatch import check_data, prepare, write_request

    prepared = prepare(document, runs_root(), again, accept_changes)
    if prepared.standing == "finished" and not accept_changes:
        check_data(prepared, document)
    _say_standing(prepared)
    if prepared.standing not in ("finished", "running"):
        snapshot = write_request(prepared, document, accept_changes)
        if _start(prepared, snapshot, document.value.launch, detach):
            return
    elif prepared.standing == "running":
        if detach:
            return
        watch_to_end(prepared.run)
    from cli.result import print_result

    print_result(prepared.run, as_json)


def _say_standing(prepared: Prepared) -> None:
    step = f"{prepared.status.step:,}"
    meanings = {
        "new": "a new run",
        "resume": f"goes on after step {step}",
        "score": "is trained; decoding or scoring has changed, so it is scored anew",
        "finished": "is finished",
        "running": "runs already; watching it",
    }
    print(f"{prepared.run.path}: {meanings[prepared.standing]}", file=sys.stderr)


def _start(prepared: Prepared, snapshot: Path, launch: Launch, detach: bool) -> bool:
    """Start the job and see it through; True when it was left to itself."""
    from asr_lab.runs.dispatch import run_inline, start_local
    from asr_lab.runs.job.stopping import INTERRUPTED

    if launch.cluster is None and not detach:
        if run_inline(prepared.run) == INTERRUPTED:
            say_stopped(prepared.run)
            raise typer.Exit(INTERRUPTED)
        return False
    job = start_local(prepared.run, snapshot, launch)
    if detach:
        print(f"started job {job.id}; follow it with: asrlab watch {prepared.run.name}", file=sys.stderr)
        return True
    watch_to_end(prepared.run, job.since, lambda: job.is_alive)
    return False
