"""`asrlab describe`: what can be written in a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import output_console
from cli.options import AsJson

if TYPE_CHECKING:
    from asr_lab.config.description import Description


def describe(
    place: Annotated[
        str, typer.Argument(metavar="[PLACE]", help="A table, slot, choice or key; none = all tables.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what can be written in a recipe: tables, choices, keys, defaults.

    Example: asrlab describe encoder.stem.depthwise_stride
    """
    from asr_lab.config.description import describe as look_up
    from asr_lab.recipe import Recipe

    found = look_up(Recipe, place)
    if as_json:
        import json

        import attrs

        print(json.dumps(attrs.asdict(found), indent=2, ensure_ascii=False))
    else:
        _print_table(found)


def _print_table(found: Description) -> None:
    from rich.table import Table

    out = output_console()
    out.print(": ".join(filter(None, [found.path, found.doc])))
    table = Table()
    if found.kind == "slot":
        table.add_column("type", no_wrap=True)
        table.add_column("is")
        for entry in found.entries:
            table.add_row(entry.name, entry.doc)
    else:
        table.add_column("key", no_wrap=True)
        for column in ("takes", "default", "is"):
            table.add_column(column, overflow="fold")
        for entry in found.entries:
            table.add_row(entry.name, entry.takes, entry.default, entry.doc)
    out.print(table)
    if found.kind == "slot" and found.path:
        out.print(f"Keys of a choice: asrlab describe {found.path}.TYPE", style="dim")
