"""The comparison of streaming as tables that a newcomer understands and 80 columns hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr_lab.evaluation.percentages import percent, span
from asr_lab.evaluation.rates import MAIN, rates
from asr_lab.evaluation.report import new_table, print_table
from asr_lab.evaluation.scoring import SetScore
from asr_lab.evaluation.streaming.contexts import Refused
from asr_lab.evaluation.streaming.latency import Figures
from asr_lab.evaluation.streaming.proof import Check, Proof
from asr_lab.evaluation.streaming.table import ContextRow
from asr_lab.units import s_to_ms

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PLACES_SHOWN = 5
NOTHING = "–"


def print_proof(console: Console, proof: Proof) -> None:
    """Whether what streams is what was trained: differences by context, and every problem."""
    table = new_table(f"proof on {len(proof.utterances):,} utterances, {proof.audio_s:.0f} s")
    table.add_column("context", no_wrap=True)
    for name in ("frames", "float64", "float32", "tokens", "differing"):
        table.add_column(name, justify="right", no_wrap=True)
    for context in dict.fromkeys(check.context for check in proof.checks):
        checks = [check for check in proof.checks if check.context == context]
        worst = [max((c.relative for c in checks if c.dtype == d), default=0.0) for d in ("float64", "float32")]
        table.add_row(
            context,
            f"{sum(c.frames for c in checks):,}",
            *(f"{one:.1e}" for one in worst),
            f"{sum(c.decisions for c in checks):,}",
            f"{sum(c.num_differing for c in checks):,}",
        )
    print_table(console, table)
    cuttings = ", ".join(dict.fromkeys(check.cutting for check in proof.checks))
    allowed = " and ".join(dict.fromkeys(f"{c.tolerance:.0e}" for c in proof.checks))
    _explain(
        console,
        "Frames and tokens that were streamed against those of one long step in the same context, which is how the "
        "model was trained. float64, float32: the largest difference between any two frames, of the largest value; "
        f"allowed are {allowed}. Cut: {cuttings}. Tokens may differ at near ties alone, 1 in 10,000. Drawn with seed "
        f"{proof.seed}.",
    )
    for check in proof.checks:
        _print_places(console, check)
    if proof.holds:
        console.print("[bold green]The proof holds:[/] what streams is what was trained.\n")
    else:
        console.print("[bold red]The proof fails.[/]")


def print_rows(console: Console, rows: Sequence[ContextRow], score: SetScore, refused: Sequence[Refused]) -> None:
    """The error rates, the delays and the costs, and what was not compared."""
    print_table(console, _errors(rows, score))
    offline = rows[0]
    narrow = "" if offline.chunk_ms is None else f" offline: in chunks of {offline.chunk_ms:g} ms, its widest context."
    untrained = " * the model was not trained with this context." if any(not row.trained for row in rows) else ""
    _explain(
        console,
        f"delta: to the offline row of the same decoder, in percentage points, with the 95 % interval of that "
        f"difference, paired by utterance; one that holds 0 says nothing.{untrained} {score.resamples:,} "
        f"resamples of {score.units:,} {score.resampled}s; normalised by {score.normaliser}.{narrow}",
    )
    print_table(console, _delays(rows))
    _explain(
        console,
        "chunk wait: how long a sound waits for its chunk to be full, and for window and lookahead; mean and maximum. "
        "first shown: from a word's end (in a forced alignment) until it is shown for good, P50. final: until it is "
        "final and can never change, P50, P90, P95. first, last: words of an utterance, final, P50. All by the "
        "audio's clock, computing not counted. flicker: words that changed after they were shown.",
    )
    print_table(console, _costs(rows))
    _explain(
        console,
        "real-time factor: computing per second of audio, below 1 keeps up. chunk: computing before its words are "
        "shown. memory: the state of one stream."
        + "".join(
            f" {row.label}: each second of audio is encoded {row.reencoded_s_per_s:.1f} times."
            for row in rows
            if row.reencoded_s_per_s is not None
        ),
    )
    for reason in dict.fromkeys(one.reason for one in refused):
        labels = ", ".join(one.label for one in refused if one.reason == reason)
        console.print(f"[yellow]cannot stream: {labels}:[/]", end=" ")
        console.print(reason, highlight=False, markup=False)


def _errors(rows: Sequence[ContextRow], score: SetScore) -> Table:
    table = new_table(f"{score.name}: {score.utterances:,} utterances, {score.audio_s / 60:.1f} minutes")
    table.add_column("context", no_wrap=True)
    others = [name for name in rates() if name != MAIN][:1]
    heads = (rates()[MAIN].label, "95 % interval", "delta, pp", "95 % interval", *(rates()[o].label for o in others))
    for name in heads:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        difference = [NOTHING, NOTHING]
        if row.differences is not None:
            change = row.differences[MAIN]
            difference = [percent(change.difference, "+", ""), span(change.low, change.high, "+", "")]
        cells = [f"[bold]{percent(row.main.value)}[/]", span(row.main.low, row.main.high), *difference]
        table.add_row(_label(row), *cells, *(percent(row.rates[name].value) for name in others))
    return table


def _delays(rows: Sequence[ContextRow]) -> Table:
    table = new_table("delays in ms")
    table.add_column("context", no_wrap=True)
    heads = ("chunk wait", "max", "first shown", "final P50", "P90", "P95", "first", "last", "flicker")
    for name in heads:
        table.add_column(name, justify="right", max_width=7)
    for row in rows:
        encoder = [NOTHING] * 2 if row.delay is None else [f"{row.delay.mean_ms:.0f}", f"{row.delay.worst_ms:.0f}"]
        words, latency = row.latency.words, row.latency
        delays = [NOTHING] * 4
        if words is not None:
            delays = [_ms(x) for x in (words.shown.p50_s, *words.final)]
        ends = [_median(latency.first), _median(latency.last)]
        table.add_row(_label(row), *encoder, *delays, *ends, f"{100 * latency.flicker:.1f} %")
    return table


def _costs(rows: Sequence[ContextRow]) -> Table:
    timed_s = max(row.speed.audio_s for row in rows)
    table = new_table(f"cost of one stream alone, {timed_s:.0f} s timed")
    table.add_column("context", no_wrap=True)
    for name in ("decoder", "real-time factor", "chunk P50", "P99", "chunks", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        speed = row.speed
        memory = NOTHING if row.state_bytes is None else f"{row.state_bytes / 1024:,.0f} KiB"
        chunks = [f"{speed.chunk_p50_ms:.1f} ms", f"{speed.chunk_p99_ms:.1f} ms", f"{speed.num_chunks:,}"]
        table.add_row(_label(row), row.decoder, f"{speed.real_time_factor:.3f}", *chunks, memory)
    return table


def _print_places(console: Console, check: Check) -> None:
    for place in check.differing[:PLACES_SHOWN]:
        tie = "a near tie" if place.near_tie else "no near tie"
        console.print(
            f"  {check.context}, {check.dtype}, {check.cutting}: {place.utterance}, {place.decoder} at "
            f"{place.position}: token {place.offline} offline, {place.streamed} streamed, margin {place.margin:.1e}, "
            f"{tie}",
            style="dim",
            highlight=False,
            markup=False,
        )
    if check.num_differing > PLACES_SHOWN:
        console.print(f"  … {check.num_differing - PLACES_SHOWN:,} more in proof.json", style="dim", highlight=False)


def _explain(console: Console, text: str) -> None:
    console.print(text, style="dim", highlight=False, markup=False)
    console.print()


def _label(row: ContextRow) -> str:
    return row.label if row.trained else f"{row.label} *"


def _median(figures: Figures | None) -> str:
    return NOTHING if figures is None else _ms(figures.final.p50_s)


def _ms(seconds: float) -> str:
    return f"{s_to_ms(seconds):,.0f}"
