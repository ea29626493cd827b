"""`asrlab check`: everything wrong with recipes, at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Overrides

if TYPE_CHECKING:
    from asr_lab.compiler.facts import Facts


def check(
    recipes: Annotated[list[Path], typer.Argument(metavar="RECIPE...", help="Recipes.")],
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Check recipes: one line each, or every problem with its line.

    Example: asrlab check recipes/*.toml
    """
    from asr_lab.compiler.effects import line, without_effect
    from asr_lab.compiler.extent import extent_of
    from asr_lab.compiler.facts import facts
    from asr_lab.compiler.inputs import data_root
    from asr_lab.compiler.load import load_recipe
    from asr_lab.compiler.notes import import_notes, notes
    from asr_lab.config.imports import import_costs
    from asr_lab.errors import LabError

    good: list[tuple[Facts, list[str]]] = []
    wrong: list[str] = []
    for path in recipes:
        try:
            with import_costs() as costs:
                document = load_recipe(path, overrides)
            idle = without_effect(document, extent_of(document.value, data_root()))
            good.append((facts(document), [*notes(document), *map(line, idle), *import_notes(costs)]))
        except LabError as error:
            wrong.append(str(error))
            for hint in import_notes(costs):
                print(f"note: {hint}", file=sys.stderr)
    if as_json:
        _print_json(good)
    else:
        for one, hints in good:
            print(f"{one.file}: OK {one.hash[:8]}  {one}")
            for hint in hints:
                print(f"  note: {hint}")
    if wrong:
        raise LabError("\n".join(wrong))


def _print_json(good: list[tuple[Facts, list[str]]]) -> None:
    import json

    import attrs

    print(json.dumps([attrs.asdict(one) | {"notes": hints} for one, hints in good], indent=2, ensure_ascii=False))
