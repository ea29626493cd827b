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
    title = f"One training step, {BATCH} x {AUDIO_S} s of audio: features, SpecAugment, loss, clipping, AdamW"
    table = _table(
        title, "model", "M params", "step s", "audio s/s", "GFLOP", "GFLOP/s", "of 2048³", "of own", "peak MB"
    )
    for name, f in figures.items():
        rate = f["flops"] / f["step_s"]
        table.add_row(
            name,
            f"{f['parameters'] / 1e6:.2f}",
            f"{f['step_s']:.3f}",
            f"{f['audio_s_per_s']:.1f}",
            f"{f['flops'] / 1e9:.0f}",
            f"{rate / 1e9:.0f}",
            f"{rate / f['peak_flops_per_s']:.0%}",
            f"{rate / f['own_flops_per_s']:.0%}",
            f"{f['peak_mb']:,.0f}",
        )
    peaks = sorted(f["peak_flops_per_s"] / 1e9 for f in figures.values())
    table.caption = (
        f"Medians. GFLOP: the model's products and convolutions, backward = 2 x forward. of 2048³: of this machine's "
        f"float32 matrix product of that size ({peaks[0]:.0f} to {peaks[-1]:.0f} GFLOP/s in this run); of own: of the "
        "step's own products, one after the other."
    )
    return table


def _encoders(rows: Sequence[Mapping[str, float]]) -> Table:
    title = "Encoder alone, forward, one utterance"
    table = _table(title, "audio s", "conformer_base s", "conformer_fast s", "ratio", "fast, whole context s", "ratio")
    for r in rows:
        base, limited, whole = r["base_s"], r["limited_s"], r["whole_s"]
        ratios = f"{base / limited:.2f}", f"{base / whole:.2f}"
        table.add_row(f"{r['audio_s']}", f"{base:.3f}", f"{limited:.3f}", ratios[0], f"{whole:.3f}", ratios[1])
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for other in others:
        table.add_column(other, justify="right")
    return table
