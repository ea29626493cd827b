"""`just fuzz`: inputs of every kind, damaged at random, and whether each command answers in its own words.

A fault is a traceback, a hang, an exit code that means nothing, or memory. Seeds and counts are printed; a case is made
again by `--seed S --only KIND --first I --number 1`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import accepted_recipes
import run_directories
from outcomes import Case
from small_run import small_run

import recipes

KINDS = {
    "run_directories": run_directories.cases,
    "recipes": recipes.cases,
    "accepted_recipes": accepted_recipes.cases,
}


def fuzz(
    number: Annotated[int, typer.Argument(help="Cases of each kind.")] = 300,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    only: Annotated[str, typer.Option(metavar="KIND", help=f"One of {', '.join(KINDS)}.")] = "",
) -> None:
    """Damage inputs, and see that nothing ends in a traceback, hangs, or takes memory without bound."""
    faults: list[Case] = []
    with tempfile.TemporaryDirectory() as folder:
        small = small_run(Path(folder))
        for kind, cases in KINDS.items():
            if only not in ("", kind):
                continue
            began, found, counts = time.monotonic(), 0, Counter[str]()
            for case in cases(small, number, seed):
                counts["fault" if case.fault else "answered"] += 1
                if case.fault:
                    found += 1
                    print(f"{kind} {case.name}\n    {case.fault}", flush=True)
                    faults.append(case)
            print(f"{kind}: {number} cases, seed {seed}, {found} faults, {time.monotonic() - began:.0f} s", flush=True)
    raise typer.Exit(1 if faults else 0)


if __name__ == "__main__":
    typer.run(fuzz)
