"""`asrlab results`: numbers for the documentation, from runs anybody can repeat."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AcceptChanges, Overrides, Readme, Workers

if TYPE_CHECKING:
    from asr_lab.config.grid import GridPoint
    from asr_lab.config.load import Document
    from asr_lab.recipe import Recipe
    from asr_lab.runs.directory import RunDirectory

Folder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the evaluations are kept.")]


def results(
    recipe: Annotated[Path, typer.Argument(help="A recipe.")],
    leave_out: Annotated[
        str, typer.Option("--leave-out", metavar="SET.COLUMN", help="Train without each value in turn, test on it.")
    ] = "",
    title: Annotated[str, typer.Option(help="What the documentation calls it; default: the recipe's name.")] = "",
    out: Folder = Path("docs/results"),
    readme: Readme = Path("README.md"),
    seeds: Annotated[str, typer.Option(metavar="N,N,…", help="Train from each of these seeds instead.")] = "",
    workers: Workers = None,
    overrides: Overrides = [],  # noqa: B006
    accept_changes: AcceptChanges = False,
) -> None:
    """Run a recipe (finished runs are not trained again) and write its scores into the documentation.

    Example: asrlab results recipes/digits.toml --leave-out fsdd.speaker
    """
    from asr_lab.compiler.load import load_recipe
    from asr_lab.evaluation.page import CURVE
    from asr_lab.evaluation.readme import publish, update_readme

    document = load_recipe(recipe, overrides)
    name, curve = document.value.name, None
    command = ["asrlab", "results", str(recipe)]
    if leave_out and seeds:
        raise typer.BadParameter("--leave-out and --seeds are two studies; choose one")
    if leave_out:
        from asr_lab.commands.study import folds
        from asr_lab.compiler.inputs import data_root

        command += ["--leave-out", leave_out]
        label, _, column = leave_out.rpartition(".")
        name = f"{name}-leave-out-{column}"
        points = folds(document, label, column, data_root())
        content = _study(recipe, document, points, leave_out, workers, accept_changes)
    elif seeds:
        from asr_lab.commands.study import seeds as seeds_of

        command += ["--seeds", seeds]
        name = re.sub(r"\W+", "-", title.lower()).strip("-") or f"{name}-seeds"
        content = _study(recipe, document, seeds_of(document, _numbers(seeds)), "seed", workers, accept_changes)
    else:
        run = _train(recipe, overrides, accept_changes)
        content, curve = _test_scores(run), run.path / CURVE
    command += [part for text in overrides for part in ("--set", text)]
    command += ["--accept-changes"] if accept_changes else []
    import shlex

    from asr_lab.runs.version import package_version

    path = publish(out, name, title or name, shlex.join(command), content, curve, package_version())
    print(path)
    if readme.exists() and update_readme(readme, out):
        print(f"{readme}: results section written anew")


def _study(
    recipe: Path,
    document: Document[Recipe],
    grid: Sequence[GridPoint],
    label: str,
    workers: int | None,
    accept_changes: bool,
) -> dict[str, Any]:
    from asr_lab.commands.study import score_points
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.study.points import points_of
    from asr_lab.runs.study.study import study_of
    from cli.sweep_table import train_all

    points = points_of(recipe, grid)
    study = study_of(points, runs_root(), workers, accept_changes=accept_changes)
    if code := train_all(study):
        raise typer.Exit(code)
    return score_points(document, study, label)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--seeds takes whole numbers and commas, not {text!r}") from None


def _train(recipe: Path, overrides: Sequence[str], accept_changes: bool) -> RunDirectory:
    """The finished run of a recipe, as `asrlab run` would leave it."""
    from asr_lab.compiler.load import load_recipe
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.dispatch import prepare, run_inline, write_request
    from asr_lab.runs.job.stopping import INTERRUPTED

    document = load_recipe(recipe, overrides)
    prepared = prepare(document, runs_root(), accept_changes=accept_changes)
    if prepared.standing != "finished":
        write_request(prepared, document, accept_changes)
        if run_inline(prepared.run) == INTERRUPTED:
            raise typer.Exit(INTERRUPTED)
    return prepared.run


def _test_scores(run: RunDirectory) -> dict[str, Any]:
    from asr_lab.errors import RunError
    from asr_lab.evaluation.evaluation_files import read_evaluation

    path = run.eval / "test.json"
    if not path.exists():
        raise RunError(f"{run.name} has no scores: its recipe has no data.test")
    return read_evaluation(path)
