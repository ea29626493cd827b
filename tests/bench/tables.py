"""The benchmark's figures for people: on a terminal, and as Markdown for the README."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from cases import AUDIO_S, BATCH, CASES
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


@attrs.frozen
class Figures:
    """One table."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def rich(self) -> Table:
        """For a terminal."""
        table = Table(title=self.title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption=self.note)
        table.title_justify = table.caption_justify = "left"
        for i, name in enumerate(self.head):
            table.add_column(name, justify="right" if i else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a page."""
        rule = "|".join(["---"] + ["---:"] * (len(self.head) - 1))
        lines = [f"**{self.title}**", "", f"| {' | '.join(self.head)} |", f"|{rule}|"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else []), ""])


def print_tables(report: Mapping[str, Any], machine: Sequence[str], to_stderr: bool = False) -> None:
    """What was measured, on what."""
    console = Console(stderr=to_stderr)
    for line in machine:
        console.print(line, highlight=False)
    for figures in tables(report):
        console.print(figures.rich())
    for line in sentences(report):
        console.print(line, highlight=False)


def tables(report: Mapping[str, Any]) -> Iterator[Figures]:
    """Those that the report has figures for."""
    figures = report["figures"]
    if steps := {c.name: figures[c.name] for c in CASES if c.trains and c.name in figures}:
        yield _steps(steps)
    if live := {c.name: figures[c.name] for c in CASES if c.lives and c.name in figures}:
        yield _live(live)
    if "encoder" in figures:
        yield _encoders(figures["encoder"])
    if "reading" in figures:
        yield _reading(figures["reading"])
    if "parallel" in figures:
        yield _parallel(figures["parallel"])


def sentences(report: Mapping[str, Any]) -> Iterator[str]:
    """What needs no table."""
    for peer, ratio in report["ratios"].items():
        what = "times as many streams as" if " at " in peer else "times as fast as"
        yield f"{ratio:.2f} {what} {peer}: {_twin(peer)}{_bound(report['figures'], peer)}"
    for peer in report["absent"]:
        yield f"{peer} is not installed here: not compared"
    for case, why in report["failed"].items():
        yield f"{case} failed: {why}"
    if plan := report["figures"].get("plan"):
        words = f"{plan['cuts']:,} cuts planned into {plan['steps']:,} steps: {plan['seconds']:.2f} s"
        yield f"{words}, {plan['peak_mb']:.0f} MB beside the cuts'"
    if found := report["figures"].get("million"):
        yield from _million(found)
    if scoring := report["figures"].get("scoring"):
        for label, seconds in scoring["cpu_s"].items():
            yield f"100,000 utterances scored, {label}: {seconds:.1f} CPU seconds"
    if found := report["figures"].get("checkpoints"):
        yield from _checkpoints(found)
    if found := report["figures"].get("loop"):
        yield from _loop(found)


def _million(f: Mapping[str, Any]) -> Iterator[str]:
    for name, start in f["starts"].items():
        words = f"a {name} start over {f['cuts']:,} cuts: {start['seconds']:.1f} s ({start['cpu_s']:.1f} CPU s)"
        yield f"{words}, {start['peak_mb']:.0f} MB, beyond importing torch"
        yield f"  its first batch of step {f['step']:,}: {start['resume_s']:.2f} s more"
    peer = f["lhotse_s"]
    beside = f"lhotse's DynamicBucketingSampler takes {peer:.1f} s to get there" if peer else f["lhotse_absent"]
    yield f"  {beside}"


def _reading(figures: Sequence[Mapping[str, Any]]) -> Figures:
    rows = [[f["way"], f"{f['times_real_time']:,.0f}", f"{f['ratio']:.2f}"] for f in figures]
    return Figures(
        "Reading FLAC of real speech with decoding, one core",
        ["", "x real time", "of soundfile's CPU time"],
        rows,
        "soundfile: its `read` on the plain files. Ratio: the median of rounds, each of which reads in all ways.",
    )


def _loop(f: Mapping[str, Any]) -> Iterator[str]:
    around = f"{1e3 * f['around_s']:.2f} ms around a step of {1e3 * f['step_s']:.0f} ms"
    yield f"the loop: {around} ({f['around_s'] / f['step_s']:.2%})"
    beyond = f"{f['first_step_s'] - f['torch_s']:.1f} s beyond importing torch ({f['torch_s']:.1f} s)"
    yield f"from the command to the first step's end: {f['first_step_s']:.1f} s, {beyond}"


def _checkpoints(f: Mapping[str, Any]) -> Iterator[str]:
    def beside(seconds: float) -> str:
        return f"{seconds:.2f} s ({seconds / f['cp_s']:.1f} x cp)"

    yield f"a checkpoint of {f['megabytes']:.0f} MB: saved in {beside(f['save_s'])}, loaded in {beside(f['load_s'])}"
    many = f"the same by {f['processes']} processes, in shards"
    loaded = f"loaded by all in {beside(f['sharded_load_s'])}, by one in {beside(f['whole_load_s'])}"
    yield f"{many}: saved in {beside(f['sharded_save_s'])}, {loaded}; cp, with sync: {f['cp_s']:.2f} s"


def _twin(peer: str) -> str:
    return next(c.twin or "" for c in CASES if c.name == peer.split(" at ")[0])


def _bound(figures: Mapping[str, Any], peer: str) -> str:
    """How much faster a twin could be at most, were everything but its own products free."""
    if peer not in figures or "step_s" not in figures[peer]:
        return ""
    ours = figures[_twin(peer)]
    most = figures[peer]["step_s"] * ours["own_flops_per_s"] / ours["flops"]
    return f" (its products alone would allow {most:.2f}, at the speed they reach one after the other)"


def _steps(figures: Mapping[str, Any]) -> Figures:
    rows = [
        [
            name,
            f"{f['parameters'] / 1e6:.2f}M",
            f"{f['step_s']:.3f}",
            f"{f['audio_s_per_s']:.1f}",
            f"{f['flops'] / f['step_s'] / 1e9:.0f}",
            f"{f['share_of_peak']:.0%}",
            f"{f['share_of_own']:.0%}",
            f"{f['peak_mb']:,.0f}",
        ]
        for name, f in figures.items()
    ]
    peak = max(f["peak_flops_per_s"] for f in figures.values()) / 1e9
    return Figures(
        f"One training step over {BATCH} x {AUDIO_S} s of audio",
        ["", "params", "step s", "audio s/s", "GFLOP/s", "of 2048³", "of own", "MB"],
        rows,
        "Features, SpecAugment, model, loss, clipping, AdamW; medians. GFLOP/s: of the model's products and "
        f"convolutions, backward = 2 x forward. of 2048³: of this machine's float32 product so big, {peak:.0f} GFLOP/s "
        "in this run. of own: of the step's own products, one after the other. MB: resident at most.",
    )


def _live(figures: Mapping[str, Any]) -> Figures:
    rows = [
        [
            name.removeprefix("live_"),
            f"{f['chunk_ms']}",
            f"{f['batch']}",
            f"{1000 * f['median_s']:.1f}",
            f"{1000 * f['p99_s']:.1f}",
            f"{f['real_time_factor']:.4f}",
            f"{f['streams_per_core']:.1f}",
            f"{f['state_mb']:.2f}",
        ]
        for name, each in figures.items()
        for f in each
    ]
    return Figures(
        "Live streams on one core, encoder alone, 5.6 s of left context",
        ["", "chunk ms", "batch", "P50 ms", "P99 ms", "RTF", "streams", "MB"],
        rows,
        "A step takes one chunk of each stream of a batch; P50 and P99 of its time. RTF: seconds of computing for a "
        "second of one stream. streams: in real time on that core, in batches so large. MB: what one stream carries.",
    )


def _encoders(rows: Sequence[Mapping[str, float]]) -> Figures:
    return Figures(
        "Encoder alone, forward, one utterance: seconds, and how many times as fast as base",
        ["audio s", "conformer_base", "conformer_fast", "ratio", "fast, whole context", "ratio "],
        [
            [
                f"{r['audio_s']}",
                f"{r['base_s']:.3f}",
                f"{r['limited_s']:.3f}",
                f"{r['ratio']:.2f}",
                f"{r['whole_s']:.3f}",
                f"{r['whole_ratio']:.2f}",
            ]
            for r in rows
        ],
    )


def _parallel(rows: Sequence[Mapping[str, float]]) -> Figures:
    def cell(row: Mapping[str, float], kind: str) -> str:
        seconds = row[f"{kind}_s"]
        return f"{seconds:.2f} / {row[f'{kind}_model_s']:.2f} / {row['compute_s'] / seconds:.0%}"

    return Figures(
        f"One step over {BATCH} x {AUDIO_S} s by processes of one thread: s / by the model / efficiency",
        ["", "one", "unsent", "ddp", "fsdp", "µs", "GB/s"],
        [
            [
                f"{row['processes']}",
                f"{row['one_s']:.2f}",
                f"{row['compute_s']:.2f}",
                cell(row, "ddp"),
                cell(row, "fsdp"),
                f"{1e6 * row['latency_s']:.0f}",
                f"{row['bytes_per_s'] / 1e9:.2f}",
            ]
            for row in rows
        ],
        "one: the whole batch by one process. unsent: each its share, all at once, nothing sent; efficiency "
        "is its part of the step's time. The cost model is given it, and the latency (µs) and bandwidth (GB/s) of sums "
        "over gloo.",
    )
