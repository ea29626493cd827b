"""`just fuzz`: inputs of every kind, damaged at random, and whether each command answers in its own words.

A fault is a traceback, a hang, an exit code that means nothing, or memory. Seeds and counts are printed; a case is made
again by `--seed S --only KIND --first I 1`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import accepted_recipes
import audio_files
import corpora
import rows
import run_directories
import web_requests
import written_recipes
from outcomes import Case, started
from small_run import small_run

KINDS: dict[str, Callable[..., Iterator[Case]]] = {
    "run_directories": run_directories.cases,
    "recipes": written_recipes.cases,
    "accepted_recipes": accepted_recipes.cases,
    "rows": rows.cases,
    "audio_files": audio_files.cases,
    "corpora": corpora.cases,
    "web_requests": web_requests.cases,
}
"""By name: `cases(small, number, seed, first=0)`: so many from a number on, each drawn by seed and number alone."""
OF_COMMANDS = ("run_directories",)
"""Kinds that take `call` as well: how a case's words are given to the command line."""


def fuzz(
    number: Annotated[int, typer.Argument(help="Cases of each kind, in this process.")] = 300,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    only: Annotated[str, typer.Option(metavar="KIND", help=f"One of {', '.join(KINDS)}.")] = "",
    first: Annotated[int, typer.Option(help="Number of the first case.")] = 0,
    processes: Annotated[int, typer.Option(help="More cases, each a process of its own, over all kinds.")] = 100,
) -> None:
    """Damage inputs, and see that nothing ends in a traceback, hangs, or takes memory without bound."""
    if only not in ("", *KINDS):
        raise typer.BadParameter(f"{only!r} is none of {', '.join(KINDS)}")
    kinds = [only] if only else list(KINDS)
    started_kinds = [kind for kind in kinds if kind in OF_COMMANDS]
    with tempfile.TemporaryDirectory() as folder:
        small = small_run(Path(folder))
        faults = 0
        for kind in kinds:
            where: dict[str, Any] = {"first": first} if first else {}
            faults += _tell(kind, number, seed, KINDS[kind](small, number, seed, **where))
        for kind in started_kinds if processes else ():
            share = -(-processes // len(started_kinds))
            cases = KINDS[kind](small, share, seed, first=first + number, call=started)
            faults += _tell(f"{kind}, processes", share, seed, cases)
    raise typer.Exit(1 if faults else 0)


def _tell(kind: str, number: int, seed: int, cases: Iterator[Case]) -> int:
    """Go through the cases, print each fault and the count; how many faults there were."""
    began, found, count, slowest, most = time.monotonic(), 0, 0, 0.0, 0.0
    for case in cases:
        count += 1
        slowest, most = max(slowest, case.seconds), max(most, case.peak_mb)
        if case.fault:
            found += 1
            print(f"{kind} {case.name}\n    {case.fault}", flush=True)
    spent = f"{time.monotonic() - began:.0f} s, the slowest {slowest:.1f} s, at most {most:,.0f} MB"
    print(f"{kind}: {count} cases, seed {seed}, {found} faults, {spent}", flush=True)
    return found


if __name__ == "__main__":
    typer.run(fuzz)
