"""`asrlab diff`: what two recipes or runs differ in, every default included."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import output_console
from cli.options import AsJson


def diff(
    a: Annotated[Path, typer.Argument(help="A recipe or a run directory.")],
    b: Annotated[Path, typer.Argument(help="Another.")],
    as_json: AsJson = False,
) -> None:
    """Compare the resolved forms of two recipes or runs.

    Example: asrlab diff recipes/ssm_base.toml recipes/ssm_tiny.toml
    """
    import json

    from asr_lab.config.difference import difference

    changes = [(c, _part(c.path)) for c in difference(_resolved(a), _resolved(b))]
    if as_json:
        rows = [{"path": c.path, "part": part, "a": c.old, "b": c.new} for c, part in changes]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not changes:
        print("no difference")
        return
    from rich.table import Table

    from asr_lab.config.words import toml

    table = Table()
    for column in ("key", str(a), str(b), "part of identity"):
        table.add_column(column, overflow="fold")
    for change, part in changes:
        table.add_row(change.path, *(toml(v) if v is not None else "-" for v in (change.old, change.new)), part)
    output_console().print(table)


def _resolved(path: Path) -> dict[str, Any]:
    """The resolved form of a recipe, or the one kept in a run directory."""
    from asr_lab.compiler.load import load_recipe
    from asr_lab.config.identity import merge
    from asr_lab.config.structure import unstructure

    if not path.is_dir():
        plain: dict[str, Any] = unstructure(load_recipe(path).value)
        return plain
    from asr_lab.runs.directory import RunDirectory

    run = RunDirectory(path)
    return merge({"name": run.resolved().name}, *run.parts())


def _part(path: str) -> str:
    """The part of the identity that a key belongs to."""
    from asr_lab.recipe import EVALUATION, EXECUTION

    def inside(places: tuple[str, ...]) -> bool:
        return any(path == p or path.startswith((f"{p}.", f"{p}[")) for p in places)

    if path == "name":
        return "label"
    return "execution" if inside(EXECUTION) else "evaluation" if inside(EVALUATION) else "experiment"
