"""`asrlab compare`: whether one evaluation is better than another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import output_console
from cli.options import AsJson

if TYPE_CHECKING:
    from asr_lab.evaluation.comparison import Comparison


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A run (its test sets), or a JSON that `asrlab eval` wrote.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one of the same utterances.")],
    as_json: AsJson = False,
) -> None:
    """Test the difference of two evaluations, paired by utterance.

    Example: asrlab compare runs/digits-1a2b3c4d runs/digits-5e6f7a8b
    """
    from asr_lab.evaluation.comparison import compare as compared

    found = compared(_read(a), _read(b))
    if as_json:
        import json

        import attrs

        print(json.dumps(attrs.asdict(found), indent=1))
    else:
        _print_table(a, b, found)


def _read(name: str) -> dict[str, Any]:
    from asr_lab.evaluation.evaluation_files import read_evaluation
    from asr_lab.runs.directory import runs_root
    from asr_lab.runs.find import find_run

    path = Path(name)
    return read_evaluation(path if path.is_file() else find_run(name, runs_root()).eval / "test.json")


def _print_table(a: str, b: str, found: Comparison) -> None:
    from rich.table import Table

    from asr_lab.evaluation.percentages import percent, span
    from asr_lab.evaluation.rates import rates

    table = Table(title=f"A = {a}\nB = {b}\n{found.utterances:,} utterances", title_justify="left")
    table.add_column("")
    for column in ("A", "B", "B - A, pp", "95 % interval", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, one in found.rates.items():
        change, interval = percent(one.difference, "+", ""), span(one.low, one.high, "+", "")
        label = rates()[name].label if name in rates() else name.upper()
        table.add_row(label, percent(one.a), percent(one.b), change, interval, f"{one.p:.4f}")
    out = output_console()
    out.print(table)
    equal = found.utterances - found.better - found.worse
    out.print(
        f"B makes fewer word errors in {found.better:,} utterances, more in {found.worse:,}, as many in {equal:,}.\n"
        f"p: how probable so large a difference is if A and B are equally good. Paired over {found.units:,} "
        f"{found.resampled}s, {found.resamples:,} resamples; normalised by {found.normaliser}.",
        style="dim",
    )
