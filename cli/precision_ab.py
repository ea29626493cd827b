"""`asrlab precision-ab`: what a number format costs in accuracy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import output_console
from cli.options import AcceptChanges, AsJson, Workers
from cli.sweep_table import train_all

if TYPE_CHECKING:
    from rich.table import Table

Formats = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=V,V,…", help="precision.type=FORMAT,… and other keys, one value each."),
]
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw losses and their distances: an .svg or a .png.")]


def precision_ab(
    recipe: Annotated[Path, typer.Argument(help="A recipe.")],
    overrides: Formats = [],  # noqa: B006
    reference: Annotated[str, typer.Option(metavar="FORMAT", help="What the others are compared with.")] = "fp32",
    margin: Annotated[
        float, typer.Option(min=0.0, max=100.0, metavar="PP", help="Points of WER that a format may cost.")
    ] = 1.0,
    workers: Workers = None,
    plot: Plot = None,
    table: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table in Markdown.")] = None,
    accept_changes: AcceptChanges = False,
    as_json: AsJson = False,
) -> None:
    """Train a recipe in several number formats on the same batches, and say what each costs.

    What this machine cannot compute in is emulated. Finished runs are not trained again.

    Example: asrlab precision-ab recipes/quickstart.toml --set precision.type=bf16,fp8,mxfp8,mxfp4
    """
    from asr_lab.commands.precision_ab import curves, markdown, precision_result, precision_study, result_json
    from asr_lab.commands.sweep import check_plot
    from asr_lab.files import json_text, write_bytes
    from asr_lab.runs.directory import runs_root

    if plot is not None:
        check_plot(plot)
    study = precision_study(recipe, overrides, reference, runs_root(), workers, accept_changes)
    is_stopped = train_all(study)
    if is_stopped:
        raise typer.Exit(is_stopped)
    from asr_lab.devices import best_device

    result = precision_result(study, margin / 100, str(best_device()), show=sys.stderr.isatty())
    content = result_json(result)
    if plot is not None:
        from asr_lab.evaluation.precision_plot import draw_losses

        write_bytes(plot, draw_losses(curves(result), study.tracked[0].point.document.value.name, plot.suffix))
        print(f"drawn: {plot}", file=sys.stderr)
    if table is not None:
        write_bytes(table, f"{markdown(content)}\n".encode())
    if as_json:
        print(json_text(content, indent=2))
    else:
        _print(content, [one.point.label for one in study.tracked if one.state != "finished"])
    if any(one.state != "finished" for one in study.tracked):
        raise typer.Exit(1)


def _print(content: dict[str, Any], missing: list[str]) -> None:
    """The verdicts, then what they rest on, in tables that fit a terminal."""
    from asr_lab.commands.precision_ab import HEADER, rows

    out, found = output_console(), list(rows(content))
    out.print(_table(HEADER[:4], [row[:4] for row in found]))
    out.print(_table((HEADER[0], *HEADER[4:7], HEADER[10]), [(row[0], *row[4:7], row[10]) for row in found]))
    out.print(_table((HEADER[0], *HEADER[7:10]), [(row[0], *row[7:10]) for row in found]))
    for label in missing:
        out.print(f"{label}: not finished")
    out.print(
        f"WER of the {content['scored']} set, differences to the first row paired by utterance, 95 %; the margin is "
        f"{100 * content['margin']:g} pp. To zero and cut off: shares of what linear layers multiply, inputs / weights "
        "/ gradients, mean over layers. One seed: another may turn a small difference round.",
        style="dim", soft_wrap=True,
    )  # fmt: skip


def _table(header: tuple[str, ...], lines: list[tuple[str, ...]]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    for line in lines:
        table.add_row(*line)
    return table
