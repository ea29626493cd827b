"""What a study came to, on the terminal: the arms in order, what failed, and whether the first is the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.errors import printable
from cli.sweep_table import cell, first_line, state_of, study_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from asr_lab.commands.sweep import SweepResult
    from asr_lab.evaluation.spread import Spread
    from asr_lab.evaluation.study import Against

NAMED = 3
"""Arms named in a sentence."""


def print_result(console: Console, result: SweepResult) -> None:
    """The arms in the order of their validation, what failed or was dropped, and which is the best."""
    if result.ranking is not None:
        console.print(result_table(result))
    left = [one for one in result.study.tracked if one.state != "finished"]
    for one in left:
        reason = first_line(one.reason or one.dropped)
        where = f" ({one.run.path})" if one.run is not None else ""
        told = f"{one.point.label}: {state_of(one)}{f': {reason}' if reason else ''}{where}"
        console.print(printable(told), soft_wrap=True)
    for line in conclusions(result):
        console.print(line, soft_wrap=True)


def result_table(result: SweepResult) -> Table:
    """A row for each arm that has a finished run."""
    from asr_lab.evaluation.percentages import percent, with_span
    from asr_lab.evaluation.rates import rates

    assert result.ranking is not None
    label, has_seeds = rates()[result.metric].label, any(len(arm.runs) > 1 for arm in result.ranking.arms)
    table = study_table(list(result.arm_keys))
    for name in (*(["seeds"] if has_seeds else []), f"valid {label}", f"test {label}", "delta, pp"):
        table.add_column(name, justify="right", overflow="fold")
    against: dict[str, Against] = {one.label: one for one in result.ranking.against}
    for arm in result.ranking.arms:
        values = result.values_of(arm.label)
        cells = [cell(values[key]) for key in result.arm_keys] + ([str(len(arm.runs))] if has_seeds else [])
        other = against.get(arm.label)
        found = other.utterances if other is not None else None
        delta = "" if found is None else with_span(found.difference, found.low, found.high, "+")
        table.add_row(
            *cells,
            _spread(arm.valid),
            _spread(arm.test),
            percent(found.difference, "+", "") if found and has_seeds else delta,
        )
    return table


def conclusions(result: SweepResult) -> list[str]:
    """Which arm is the best, or why none is named; and how often test sets were read."""
    ranking, lines = result.ranking, []
    if ranking is None:
        return ["no finished run has been validated: there is nothing to choose by"]
    first, count = ranking.arms[0], len(ranking.arms)
    seeds = max(len(arm.runs) for arm in ranking.arms)
    of = "the mean over seeds" if seeds > 1 else "delta"
    lines.append(f"in %, in brackets 95 % intervals of {of}; delta is on validation, to the first")
    by = "over the utterances and over the seeds" if seeds > 1 else "over the utterances"
    if ranking.best is not None:
        others = "the other" if count == 2 else f"each of the {count - 1} others"
        lines.append(f"best: {_name(first.label)}, lower than {others} {by} (paired, 95 %)")
    elif count > 1:
        apart = [one for one in ranking.against if not one.holds]
        named = ", ".join(_name(one.label) + (f" ({one.reason})" if one.reason else "") for one in apart[:NAMED])
        more = f" and {len(apart) - NAMED} more" if len(apart) > NAMED else ""
        lines.append(
            f"no best one: {_name(first.label)} is first, but cannot be told from {named}{more} {by} (paired, 95 %)"
        )
    if count > 1 and seeds == 1:
        lines.append("trained from one seed each: another may turn this round; add --set seed=1,2,3")
    if result.study.eta is not None:
        lines.append("chosen by halving: what was dropped went by its place at a rung alone, without an interval")
    reads = [one for one in result.study.tracked if (one.status.result or {}).get("reads")]
    if reads:
        times = "once, by the one finished run" if len(reads) == 1 else f"by each of {len(reads)} finished runs"
        lines.append(f"the test sets were read {times}; they chose nothing")
    return [printable(line) for line in lines]


def _spread(one: Spread | None) -> str:
    from asr_lab.evaluation.percentages import NONE, percent, with_span

    if one is None:
        return NONE
    if one.low is None or one.high is None:
        return percent(one.mean, unit="")
    return with_span(one.mean, one.low, one.high)


def _name(label: str) -> str:
    return label or "the only arm"
