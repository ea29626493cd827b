"""An evaluation as tables that a newcomer understands, and the worst utterances word by word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr_lab.errors import count_of
from asr_lab.evaluation.evaluation_files import Evaluation
from asr_lab.evaluation.identification import identification
from asr_lab.evaluation.percentages import rate_and_span
from asr_lab.evaluation.rates import MAIN, rates
from asr_lab.evaluation.scoring import Rate, Scored, SetScore, Slice

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ROWS_SHOWN = 12
"""A table by speaker or language shows this many rows, the worst first."""


def print_evaluation(console: Console, evaluation: Evaluation, worst: int = 3, tables: bool = True) -> None:
    """The scores, what they mean, tables by speaker, language and length, and the worst utterances aligned."""
    total = evaluation.score
    print_table(console, _main_table(evaluation))
    console.print(_explanation(total), style="dim", highlight=False)
    print_unreadable(console, evaluation)
    if tables:
        for name, rows in total.tables.items():
            if len(rows) > 1:
                print_table(console, _group_table(name, rows))
    print_identification(console, total)
    for one in total.worst(worst):
        console.print(_heading(one), highlight=False, markup=False)
        console.print(align(one), highlight=False, markup=False, style="dim")


def print_identification(console: Console, total: SetScore) -> None:
    """How often each language was named rightly; nothing where the model names none."""
    from rich.markup import escape

    found = identification(total)
    if found is None:
        return
    table = new_table("languages named by the model")
    table.add_column("language", no_wrap=True)
    for head in ("utterances", "named rightly", "95 % interval"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, one in [*found.languages.items(), ("all", found.total)]:
        table.add_row(escape(name), f"{one.utterances:,}", *rate_and_span(one.value, one.low, one.high, one.utterances))
    print_table(console, table)


def print_unreadable(console: Console, evaluation: Evaluation) -> None:
    """The utterances that could not be read, and what became of them; nothing where all could."""
    bad = evaluation.unreadable
    if not bad:
        return
    what = "all their words count as deleted" if evaluation.policy == "deleted" else "left out of the score"
    console.print(
        f"[yellow]{count_of(len(bad), 'utterance')} unreadable; {what} (score.unreadable):[/]", highlight=False
    )
    for name, one in bad[:ROWS_SHOWN]:
        uncounted = "; without a transcript, so not in the score" if one.text is None else ""
        line = f"  {name}: {one.id}: {one.reason} ({one.audio}){uncounted}"
        console.print(line, highlight=False, markup=False)
    if len(bad) > ROWS_SHOWN:
        console.print(f"  … {len(bad) - ROWS_SHOWN:,} more in the JSON", highlight=False, markup=False)


def align(one: Scored) -> str:
    """The reference above the hypothesis, with S, D and I below each error; by jiwer."""
    import jiwer

    output = jiwer.process_words([one.reference], [one.hypothesis])
    lines: list[str] = jiwer.visualize_alignment(output, show_measures=False, line_width=100).split("\n")
    return "\n".join(f"  {line}" for line in lines[1:] if line.strip())


def _main_table(evaluation: Evaluation) -> Table:
    from rich.markup import escape

    total = evaluation.score
    several = len(evaluation.sets) > 1
    table = new_table(
        f"{escape(total.name) or 'test'}: {total.utterances:,} utterances, {total.audio_s / 60:.1f} minutes"
    )
    if several:
        table.add_column("set")
    table.add_column("errors in", no_wrap=True)
    for name in ("rate", "95 % interval", "sub", "del", "ins", "of"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in (*evaluation.sets, total) if several else (total,):
        label = [] if not several else ["all" if one is total else escape(one.name)]
        for name, rate in one.rates.items():
            measure = f"{rates()[name].unit} ({rates()[name].label})"
            counts = (rate.substitutions, rate.deletions, rate.insertions, rate.reference)
            value, interval = rate_and_span(rate.value, rate.low, rate.high, rate.reference)
            table.add_row(*label, measure, f"[bold]{value}[/]", interval, *(f"{count:,}" for count in counts))
            label = [""] if several else []
        table.add_section()
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table at its own width: a number is never cut, whatever width the terminal reports."""
    from rich.segment import Segments

    wide = console.options.update(max_width=1000)
    width = console.measure(table, options=wide).maximum
    console.print(Segments(console.render(table, wide.update(width=width))), crop=False, soft_wrap=True, end="")


def new_table(title: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _explanation(total: SetScore) -> str:
    drawn = f"{total.resamples:,} resamples of the {total.units:,} {total.resampled}s"
    if not total.main.reference:
        return (
            "The references hold no word, so there is no rate of errors in words: whatever is recognised is an "
            f"insertion, and counted. Both texts were first normalised: {total.normaliser}."
        )
    return (
        "rate = (sub + del + ins) / of; 0 is perfect, above 100 % is possible. Had other recordings of the same kind "
        f"been drawn, the rate would probably lie in the interval ({drawn}). "
        f"Both texts were first normalised: {total.normaliser}."
    )


def _group_table(name: str, rows: Sequence[Slice]) -> Table:
    from rich.markup import escape

    ordered = list(rows) if name == "length" else sorted(rows, key=lambda r: (-r.main.value, r.label))
    shown = ordered[:ROWS_SHOWN]
    table = new_table(f"by {name}, the worst {len(shown)} of {len(rows)}" if len(shown) < len(rows) else f"by {name}")
    table.add_column(name, no_wrap=True)
    main = rates()[MAIN]
    others = [name for name in rates() if name != MAIN]
    heads = ("utterances", main.unit, main.label, "95 % interval", *(rates()[name].label for name in others))
    for column in heads:
        table.add_column(column, justify="right", no_wrap=True)
    for row in shown:
        cells = [
            f"{row.utterances:,}",
            f"{row.main.reference:,}",
            *rate_and_span(row.main.value, row.main.low, row.main.high, row.main.reference),
        ]
        table.add_row(escape(row.label), *cells, *(_value(row.rates[name]) for name in others if name in row.rates))
    return table


def _value(rate: Rate) -> str:
    return rate_and_span(rate.value, rate.low, rate.high, rate.reference)[0]


def _heading(one: Scored) -> str:
    t = one.transcript
    speaker = f", {t.columns['speaker']}" if t.columns.get("speaker") else ""
    size = f"{rates()[MAIN].unit} {one.errors[MAIN].reference}"
    return f"{t.id} ({t.duration_s:.1f} s{speaker}), errors {one.num_errors}, {size}"
