"""The benchmark's figures for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cases import AUDIO_S, BATCH, CASES
from environment import Environment
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def print_tables(
    environment: Environment, figures: Mapping[str, Any], ratios: Mapping[str, float], absent: Sequence[str]
) -> None:
    """What was measured, on what."""
    console = Console()
    for line in environment.lines():
        console.print(line, highlight=False)
    if steps := {c.name: figures[c.name] for c in CASES if c.trains and c.name in figures}:
        console.print(_steps(steps))
    for peer, ratio in ratios.items():
        console.print(f"{ratio:.2f} times as fast as {peer}: {_twin(peer)}", highlight=False)
    for peer in absent:
        console.print(f"{peer} is not installed here: not compared", highlight=False)
    if "encoder" in figures:
        console.print(_encoders(figures["encoder"]))
    if plan := figures.get("plan"):
        words = f"{plan['cuts']:,} cuts planned into {plan['steps']:,} steps: {plan['seconds']:.2f} s"
        console.print(f"{words}, {plan['peak_mb']:.0f} MB beside the cuts'", highlight=False)
    if scoring := figures.get("scoring"):
        for label, seconds in scoring["cpu_s"].items():
            console.print(f"100,000 utterances scored, {label}: {seconds:.1f} CPU seconds", highlight=False)


def _twin(peer: str) -> str:
    return next(c.twin or "" for c in CASES if c.name == peer)


def _steps(figures: Mapping[str, Any]) -> Table:
    title = f"One training step over {BATCH} x {AUDIO_S} s of audio"
    table = _table(title, "", "params", "step s", "audio s/s", "GFLOP/s", "of 2048³", "of own", "MB")
    for name, f in figures.items():
        table.add_row(
            name,
            f"{f['parameters'] / 1e6:.2f}M",
            f"{f['step_s']:.3f}",
            f"{f['audio_s_per_s']:.1f}",
            f"{f['flops'] / f['step_s'] / 1e9:.0f}",
            f"{f['share_of_peak']:.0%}",
            f"{f['share_of_own']:.0%}",
            f"{f['peak_mb']:,.0f}",
        )
    peak = max(f["peak_flops_per_s"] for f in figures.values()) / 1e9
    table.caption = (
        "Features, SpecAugment, model, loss, clipping, AdamW; medians. GFLOP/s: of the model's products and "
        f"convolutions, backward = 2 x forward. of 2048³: of this machine's float32 product so big, {peak:.0f} GFLOP/s "
        "in this run. of own: of the step's own products, one after the other. MB: resident at most."
    )
    return table


def _encoders(rows: Sequence[Mapping[str, float]]) -> Table:
    title = "Encoder alone, forward, one utterance: seconds, and how many times as fast as base"
    table = _table(title, "audio s", "conformer_base", "conformer_fast", "ratio", "fast, whole context", "ratio")
    for r in rows:
        fast, whole = (f"{r['limited_s']:.3f}", f"{r['ratio']:.2f}"), (f"{r['whole_s']:.3f}", f"{r['whole_ratio']:.2f}")
        table.add_row(f"{r['audio_s']}", f"{r['base_s']:.3f}", *fast, *whole)
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right", no_wrap=True)
    return table
