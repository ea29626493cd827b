"""`asrlab verify-reproducible`: whether a recipe's bits hold when threads, cuts and instruction sets change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import output_console
from cli.options import AsJson, Overrides

if TYPE_CHECKING:
    from asr_lab.commands.verify_reproducible import Outcome, Reproduced

Steps = Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Steps that each training takes.")]
Vary = Annotated[
    str,
    typer.Option(
        "--vary",
        metavar="KIND,KIND,…",
        help="Of repeat, threads, workers, batch, instructions; none = all.",
    ),
]


def verify_reproducible(
    recipe: Annotated[Path, typer.Argument(help="A recipe.")],
    steps: Steps = 3,
    vary: Vary = "",
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Train a recipe's first steps several times, and compare the bits.

    Threads, data workers, microbatches and instruction sets change, each in a process of its own. Exit code 1 when
    less held than the recipe's level promises. Example: asrlab verify-reproducible recipes/cross_hardware.toml
    """
    from asr_lab.commands.verify_reproducible import KINDS, Outcome, products_here, verify
    from asr_lab.compiler.load import load_recipe

    document = load_recipe(recipe, overrides)
    products = products_here()
    if document.value.determinism.level == "cross_hardware" and products == "twin":
        print(
            "note: RepDL is not installed; its twin, of the same bits, stands in (docs/determinism.md)", file=sys.stderr
        )
    kinds = [part.strip() for part in vary.split(",") if part.strip()] or KINDS
    for found in verify(document, steps, kinds, products):
        if isinstance(found, Outcome):
            print(f"{found.what}: {_held(found)}", file=sys.stderr)
            continue
        if as_json:
            import json

            print(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
        else:
            _print_table(found)
        if not found.holds:
            raise typer.Exit(1)


def _held(outcome: Outcome) -> str:
    return {None: "not tried", True: "same bits", False: "other bits"}[outcome.held]


def _print_table(found: Reproduced) -> None:
    from rich.table import Table

    table = Table()
    for column in ("varied", "level promises", "found", "SHA-256 of weights", "where"):
        table.add_column(column, overflow="fold")
    first = found.first
    threads = f"first training: {first['record']['threads']} thread(s), {first['record']['cpu']}"
    table.add_row(threads, "", "", first["weights"][:16], "")
    for o in found.outcomes:
        promised = "same bits" if o.promised else "nothing"
        table.add_row(o.what, promised, _held(o), o.hashes.get("weights", "-")[:16], o.note)
    console = output_console()
    console.print(table)
    by = f", products by {found.products}" if found.products else ""
    verdict = "every promise held" if found.holds else "a promise did not hold"
    console.print(f"level {found.level}{by}, {found.steps} steps: {verdict}", highlight=False, soft_wrap=True)
