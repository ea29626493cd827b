"""`asrlab run`: train a recipe, or go on with it, and score it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr_lab.errors import RunInUse
from asr_lab.training.parallel.world import World, world_of
from cli.options import AcceptChanges, AsJson, Overrides
from cli.watching import say_stopped, watch_to_end, watch_while_owned

if TYPE_CHECKING:
    from asr_lab.config.load import Document
    from asr_lab.recipe import Recipe
    from asr_lab.runs.dispatch import Prepared
    from asr_lab.slots.launch import Launch


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe.")],
    overrides: Overrides = [],  # noqa: B006
    detach: Annotated[bool, typer.Option("--detach", help="Start a job of its own and return.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be started, and start nothing.")] = False,
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

    if dry_run:
        from asr_lab.runs import dispatch

        print(dispatch.dry_run(document, runs_root(), again))
        return
    world = world_of(os.environ)
    if world.size > 1:
        _run_among(world, document, again, accept_changes, as_json)
        return
    prepared = prepare(document, runs_root(), again, accept_changes)
    while prepared.standing != "finished":
        _say_standing(prepared)
        if prepared.standing == "running":
            if detach:
                return
            is_over = watch_while_owned(prepared.run)
        else:
            snapshot = write_request(prepared, document, accept_changes)
            try:
                if _start(prepared, snapshot, document.value.launch, detach):
                    return
                is_over = True
            except RunInUse:  # another command was faster
                is_over = False
        if is_over:
            break
        prepared = prepare(document, runs_root(), accept_changes=accept_changes)
    else:
        if not accept_changes:
            check_data(prepared, document)
        _say_standing(prepared)
    from cli.result import print_result

    print_result(prepared.run, as_json)


def _run_among(world: World, document: Document[Recipe], again: bool, accept_changes: bool, as_json: bool) -> None:
    """Train with the processes that a launcher started; the first one prints."""
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.dispatch import run_among
    from asr_lab.runs.job.stopping import INTERRUPTED
    from asr_lab.training.parallel.group import FirstRankError

    try:
        run, code = run_among(world, document, runs_root(), again, accept_changes, _say_standing)
    except FirstRankError:
        raise typer.Exit(1) from None  # the first process tells
    if world.is_first:
        from cli.result import print_result

        if code == INTERRUPTED:
            say_stopped(run)
        else:
            print_result(run, as_json)
    if code:
        raise typer.Exit(code)


def _say_standing(prepared: Prepared) -> None:
    from asr_lab.runs.find import resume_step

    step = resume_step(prepared.run)
    meanings = {
        "new": "a new run",
        "resume": f"goes on from step {step:,}, its newest checkpoint"
        if step
        else "starts again: it has no checkpoint",
        "score": "is trained; decoding or scoring has changed, so it is scored anew",
        "finished": "is finished",
        "running": "runs already, or its job waits; watching it",
    }
    print(f"{prepared.run.path}: {meanings[prepared.standing]}", file=sys.stderr)


def _start(prepared: Prepared, snapshot: Path, launch: Launch, detach: bool) -> bool:
    """Start the job and see it through; True when it was left to itself."""
    from asr_lab.runs.dispatch import run_inline, start_job
    from asr_lab.runs.job.stopping import INTERRUPTED

    if launch.cluster is None and not detach:
        if run_inline(prepared.run) == INTERRUPTED:
            say_stopped(prepared.run)
            raise typer.Exit(INTERRUPTED)
        return False
    watch = start_job(prepared.run, snapshot, launch)
    jobs = watch.job.ids
    after = f", then {', '.join(jobs[1:])} where the cluster cancels it" if len(jobs) > 1 else ""
    if detach or launch.cluster == "slurm":
        print(f"started job {jobs[0]}{after}; follow it with: asrlab watch {prepared.run.name}", file=sys.stderr)
    if detach:
        return True
    watch_to_end(prepared.run, watch)
    return False
