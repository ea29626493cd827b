"""A study on the terminal while it trains: a live table, or a line for each change."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from asr_lab.errors import printable

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.table import Table

    from asr_lab.runs.study.study import Study
    from asr_lab.runs.study.tracked import TrackedPoint

ORDER = ("running", "elsewhere", "failed", "stopped", "paused", "finished", "dropped", "waiting")
"""What is shown first where there is no room for all."""
WAYS = {"elsewhere": "running elsewhere"}
FEWEST_ROWS = 4
MAX_VALUE = 24
"""Characters of a value in a column; JSON has it whole."""


def train_all(study: Study) -> int:
    """Train a study with the live table beside it; 0, or the exit code of a command that was asked to end."""
    from asr_lab.runs.job.stopping import INTERRUPTED, Stopper

    with Stopper() as stop, open_table(study) as table:
        for _ in study.train(stop):
            table.show()
        table.show()
    if stop.reason is None:
        return 0
    import shlex

    again = shlex.join(["asrlab", *sys.argv[1:]])
    if study.place.outlives_the_study:
        print(f"the jobs go on; follow them again: {again}   end one: asrlab cancel RUN", file=sys.stderr)
    else:
        print(f"stopped by {stop.reason}; go on with: {again}", file=sys.stderr)
    return INTERRUPTED


class StudyTable(Protocol):
    """Something that shows how a study stands."""

    def show(self) -> None:
        """Show what is new."""


@contextmanager
def open_table(study: Study) -> Iterator[StudyTable]:
    """A live table on a terminal's stderr; elsewhere a line whenever a point comes to another state."""
    if not sys.stderr.isatty():
        yield StateLines(study, lambda line: print(line, file=sys.stderr, flush=True))
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, emoji=False, highlight=False, markup=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield LiveTable(study, live)


class LiveTable:
    """A row for each point, drawn anew at every look."""

    def __init__(self, study: Study, live: Live) -> None:
        self._study, self._live = study, live

    def show(self) -> None:
        """Draw it."""
        rows = max(FEWEST_ROWS, self._live.console.size.height - 4)
        self._live.update(live_table(self._study, rows), refresh=True)


class StateLines:
    """A line for each change of a point's state, for files and pipes."""

    def __init__(self, study: Study, write: Callable[[str], None]) -> None:
        self._study, self._write = study, write
        self._told = {id(one): "waiting" for one in study.tracked}

    def show(self) -> None:
        """Write the lines that are new."""
        for one in self._study.tracked:
            state = state_of(one)
            if state != self._told[id(one)]:
                self._told[id(one)] = state
                name = one.run.name if one.run is not None else ""
                reason = f": {first_line(one.reason or one.dropped)}" if one.reason or one.dropped else ""
                valid = f"  {one.status.metric.upper()} {one.status.best:.1%}" if one.status.best is not None else ""
                self._write(printable(f"{one.point.label}  {WAYS.get(state, state)}{reason}{valid}  {name}".rstrip()))


def state_of(one: TrackedPoint) -> str:
    """A point's state as tables have it."""
    return "dropped" if one.dropped and one.state != "finished" else one.state


def live_table(study: Study, max_rows: int) -> Group:
    """How the points stand; with the counts of all where there is no room for each."""
    from rich.console import Group
    from rich.text import Text

    keys = list(study.tracked[0].point.values)
    table = study_table(keys)
    table.add_column("state", no_wrap=True)
    for name in ("step", "done", "best valid"):
        table.add_column(name, justify="right", no_wrap=True)
    first = sorted(study.tracked, key=lambda one: ORDER.index(state_of(one)))
    for one in [one for one in study.tracked if one in first[:max_rows]]:
        status = one.status
        valid = "" if status.best is None else f"{status.metric.upper()} {status.best:.1%}"
        words = WAYS.get(state_of(one), state_of(one))
        state = f"{status.phase}" if one.state == "running" and status.phase not in ("", "stopped", "failed") else words
        cells = (state, f"{status.step:,}" if status.step else "", f"{status.share:.0%}", valid)
        table.add_row(*(cell(one.point.values[key]) for key in keys), *cells)
    counts = Counter(state_of(one) for one in study.tracked)
    each = ", ".join(f"{counts[state]} {WAYS.get(state, state)}" for state in ORDER if counts[state])
    return Group(table, Text(f"{len(study.tracked)} points: {each}", style="dim"))


def study_table(keys: Sequence[str]) -> Table:
    """An empty table with a column for each key."""
    from rich.table import Table

    from asr_lab.config.grid import short_names

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in short_names(keys).values():
        table.add_column(name, overflow="fold")
    return table


def cell(value: str) -> str:
    """A value as a table shows it: on one line, cut where it is long."""
    value = printable(value, but="")
    return value if len(value) <= MAX_VALUE else f"{value[: MAX_VALUE - 1]}…"


def first_line(text: str) -> str:
    """The first line of a reason."""
    return text.strip().splitlines()[0] if text.strip() else ""
