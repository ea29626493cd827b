"""`asrlab explain`: the graph of a recipe's model as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Overrides

if TYPE_CHECKING:
    from asr_lab.compiler.graph import Graph


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
    from asr_lab.compiler.graph import recipe_graph

    graph = recipe_graph(document.value)
    if as_json:
        _print_json(graph)
    else:
        _print_table(document.value.name, graph)


def _print_json(graph: Graph) -> None:
    import json

    import attrs

    nodes = [attrs.asdict(n) for n in graph.nodes]
    print(json.dumps({"parameters": graph.parameters, "macs_per_s": graph.macs_per_s, "nodes": nodes}, indent=2))


def _print_table(name: str, graph: Graph) -> None:
    from rich.console import Console
    from rich.table import Table

    from asr_lab.compiler.graph import MEASURED_S, TOKENS_PER_S

    table = Table(title=f"{name}: {graph.parameters / 1e6:.2f}M parameters", title_justify="left")
    for column in ("node", "type", "shape"):
        table.add_column(column, no_wrap=True)
    for column in ("rate ms", "hop ms", "lookahead ms", "parameters", "MMAC/s"):
        table.add_column(column, justify="right", no_wrap=True)
    for n in graph.nodes:
        hop = "whole" if n.hop_ms is None else f"{n.hop_ms:g}"
        rate = f"{n.rate_ms:g}" if n.rate_ms else "token"
        cost = f"{n.macs_per_s / 1e6:,.1f}"
        look = f"{n.lookahead_ms:g}"
        table.add_row(n.name, n.kind, f"({', '.join(n.shape)})", rate, hop, look, f"{n.parameters:,}", cost)
    table.add_section()
    table.add_row("total", "", "", "", "", "", f"{graph.parameters:,}", f"{graph.macs_per_s / 1e6:,.1f}")
    console = Console()
    console.print(table)
    chunk = graph.context.chunk_frames
    of = (
        "the whole utterance"
        if chunk is None
        else f"chunks of {chunk} feature frames, {graph.context.left_frames} to the left"
    )
    console.print(
        f"Hop and cost in the first context: {of}. MMAC/s: million multiply-adds of matrix products and convolutions,\n"
        f"forward, per second of audio, over {MEASURED_S} s; an attention decoder at {TOKENS_PER_S} tokens a second.",
        style="dim",
    )
