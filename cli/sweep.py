"""`asrlab sweep`: a grid of overrides, trained side by side and compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AcceptChanges, AsJson, Workers
from cli.sweep_table import train_all

Grid = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=V,V,…", help="Values of a key; commas in brackets and quotes don't part them."),
]
Halving = Annotated[
    int | None,
    typer.Option(min=2, max=1000, metavar="N", help="Successive halving: one in N goes on from each rung."),
]
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the result: an .svg or a .png.")]


def sweep(
    recipe: Annotated[Path, typer.Argument(help="A recipe.")],
    overrides: Grid = [],  # noqa: B006
    workers: Workers = None,
    halving: Halving = None,
    plot: Plot = None,
    accept_changes: AcceptChanges = False,
    as_json: AsJson = False,
) -> None:
    """Train a recipe at every point of a grid; finished runs are not trained again.

    Example: asrlab sweep recipes/quickstart.toml --set optimizer.peak_lr=1e-3,3e-3 --set seed=1,2,3
    """
    from asr_lab.commands.sweep import check_plot, result_of, sweep_json, write_plot
    from asr_lab.commands.sweep import sweep as study_of
    from asr_lab.runs.directory import runs_root

    if plot is not None:
        check_plot(plot)
    study = study_of(recipe, overrides, runs_root(), workers, halving, accept_changes)
    is_stopped = train_all(study)
    result = result_of(study)
    if plot is not None and result.ranking is not None:
        write_plot(result, plot)
        print(f"drawn: {plot}", file=sys.stderr)
    if as_json:
        from asr_lab.files import json_text

        print(json_text(sweep_json(result), indent=2))
    else:
        from cli.console import output_console
        from cli.sweep_result import print_result

        print_result(output_console(), result)
    if is_stopped:
        raise typer.Exit(is_stopped)
    if any(one.state in ("failed", "stopped") for one in study.tracked):
        raise typer.Exit(1)
