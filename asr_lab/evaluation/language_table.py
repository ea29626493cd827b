"""An evaluation over languages as tables of a terminal's width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from asr_lab.evaluation.evaluation_files import Evaluation
from asr_lab.evaluation.language_rows import LanguageRow, by_family, language_rows, remarks
from asr_lab.evaluation.languages import Average
from asr_lab.evaluation.percentages import NONE, percent, rate_and_span, span
from asr_lab.evaluation.report import new_table, print_table, print_unreadable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_languages(console: Console, evaluation: Evaluation, speeds: Mapping[str, float]) -> None:
    """A table a family, the averages, and what has to be known beside them."""
    rows = language_rows(evaluation, speeds)
    for family, members in by_family(rows).items():
        print_table(console, _family_table(family, members))
    print_table(console, _averages(evaluation))
    for line in remarks(evaluation):
        console.print(line, highlight=False, markup=False)
    print_unreadable(console, evaluation)
    score = evaluation.score
    console.print(
        "rate: CER for scripts that set no spaces between words, WER for others. Intervals: the central 95 % of "
        f"{score.resamples:,} resamples of utterances; macro averages weigh languages alike, micro averages "
        f"utterances. RTF: seconds of computing for a second of audio. Normalised by {score.normaliser}, scored by "
        f"{score.scorer}.",
        style="dim",
        highlight=False,
    )


def _family_table(family: str, rows: list[LanguageRow]) -> Table:
    hours = sum(row.score.audio_s for row in rows) / 3600
    utterances = sum(row.score.utterances for row in rows)
    table = new_table(f"{family or 'sets'}: {len(rows)}, {utterances:,} utterances, {hours:.2f} hours")
    table.add_column("set", no_wrap=True, min_width=11)
    for head, width in (("utts", 7), ("of", 8), ("rate", 4), ("%", 6), ("95 % interval", 16), ("CER", 6), ("RTF", 5)):
        table.add_column(head, justify="right", no_wrap=True, min_width=width)
    for row in rows:
        rate = row.counted
        value, _ = rate_and_span(rate.value, rate.low, rate.high, rate.reference)
        interval = span(rate.low, rate.high, unit="") if rate.reference else NONE
        other = NONE if row.other is None or not row.other.reference else percent(row.other.value, unit="")
        speed = NONE if row.real_time_factor is None else f"{row.real_time_factor:.3f}"
        mark = "*" if row.is_partial else ""
        cells = (f"{row.score.utterances:,}{mark}", f"{rate.reference:,}", row.label, value.removesuffix(" %"))
        table.add_row(row.score.name, *cells, interval, other, speed)
    return table


def _averages(evaluation: Evaluation) -> Table:
    found = evaluation.languages
    assert found is not None
    table = new_table("averages")
    table.add_column("over", no_wrap=True)
    for head in ("sets", "%", "95 % interval"):
        table.add_column(head, justify="right", no_wrap=True)
    for family, one in found.families.items():
        table.add_row(family, f"{one.languages}", *_cells(one.counted))
    table.add_section()
    for kind, averages in (("macro", found.macro), ("micro", found.micro)):
        for name, average in averages.items():
            label = "rate" if name == "counted" else name.upper()
            table.add_row(f"{kind}, {label}", f"{average.sets}", *_cells(average))
    return table


def _cells(average: Average) -> tuple[str, str]:
    return percent(average.value, unit=""), span(average.low, average.high, unit="")
