"""`asrlab explain`: the graph of a recipe's model as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import output_console
from cli.options import AsJson, Overrides

if TYPE_CHECKING:
    from asr_lab.compiler.graph import Graph, Node
    from asr_lab.training.precision import LayerPrecision


def explain(
    recipe: Annotated[Path, typer.Argument(help="A recipe.")],
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show the model graph: shapes, rates, lookahead, parameters, cost.

    Example: asrlab explain recipes/ssm_b200.toml
    """
    from asr_lab.compiler.load import load_recipe

    document = load_recipe(recipe, overrides)
    from asr_lab.compiler.graph import precision_layers, recipe_graph

    graph, assumes = recipe_graph(document.value), document.value.tokenizer.assumes
    layers = precision_layers(document.value)
    if as_json:
        _print_json(graph, assumes, layers)
        return
    _print_table(document.value.name, graph, assumes)
    if layers:
        from asr_lab.training.precision.table import precision_table

        table = precision_table(document.value.precision.tag(), layers, is_grouped=True)
        output_console().print(f"\n{table}", soft_wrap=True, highlight=False)


def _print_json(graph: Graph, assumes: str, layers: Sequence[LayerPrecision]) -> None:
    import json

    import attrs

    nodes = [attrs.asdict(n) for n in graph.nodes]
    sums = {"parameters": graph.parameters, "macs_per_s": graph.macs_per_s, "assumes": assumes}
    precision = [{**row._asdict(), "converted": not row.kept_because} for row in layers]
    print(json.dumps({**sums, "nodes": nodes, "precision": precision}, indent=2))


def _runs_of_equals(nodes: Sequence[Node]) -> list[tuple[list[str], Node]]:
    """Neighbours that differ in nothing but their names, as one row: a stack of twenty layers stays readable."""
    import attrs

    rows: list[tuple[list[str], Node]] = []
    for node in nodes:
        if rows and attrs.evolve(node, name="") == attrs.evolve(rows[-1][1], name=""):
            rows[-1][0].append(node.name)
        else:
            rows.append(([node.name], node))
    return rows


def _print_table(name: str, graph: Graph, assumes: str) -> None:
    from rich.table import Table

    from asr_lab.compiler.graph import MEASURED_S, TOKENS_PER_S

    table = Table(
        title=f"{name}: {graph.parameters / 1e6:.2f}M parameters",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in ("node", "type", "shape"):
        table.add_column(column, no_wrap=column != "type")
    for column in ("rate\nms", "hop\nms", "look-\nahead", "parameters", "MMAC/s"):
        table.add_column(column, justify="right", no_wrap=True)
    for names, n in _runs_of_equals(graph.nodes):
        hop = "whole" if n.hop_ms is None else f"{n.hop_ms:g}"
        rate = f"{n.rate_ms:g}" if n.rate_ms else "token"
        times = len(names)
        shape = f"({', '.join(n.shape)})".replace("T*1/", "T/")
        label = names[0] if times == 1 else f"{names[0]}-{names[-1].rpartition('.')[2]}"
        parameters, cost = f"{times * n.parameters:,}", f"{times * n.macs_per_s / 1e6:,.1f}"
        table.add_row(label, n.kind.replace("/", " / "), shape, rate, hop, f"{n.lookahead_ms:g}", parameters, cost)
    table.add_section()
    table.add_row("total", "", "", "", "", "", f"{graph.parameters:,}", f"{graph.macs_per_s / 1e6:,.1f}")
    out = output_console()
    out.print(table)
    chunk = graph.context.chunk_frames
    of = (
        "the whole utterance"
        if chunk is None
        else f"chunks of {chunk} feature frames, {graph.context.left_frames} to the left"
    )
    out.print(
        f"Hop and cost in the first context: {of}. MMAC/s: million multiply-adds of matrix products and convolutions, "
        f"forward, per second of audio, over {MEASURED_S} s; an attention decoder at {TOKENS_PER_S} tokens a second.",
        style="dim",
    )
    if assumes:
        out.print(f"{assumes}.", style="dim", highlight=False)
