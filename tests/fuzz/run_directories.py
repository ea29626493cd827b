"""Run directories with one file damaged, under each command that reads them."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from damage import WAYS
from outcomes import Case, called
from small_run import SmallRun

COMMANDS = (
    ("runs",),
    ("runs", "--json"),
    ("run", "RECIPE"),
    ("run", "RECIPE", "--accept-changes"),
    ("watch", "RUN"),
    ("watch", "RUN", "--stop"),
    ("eval", "RUN", "--data", "DATA"),
    ("transcribe", "AUDIO", "--run", "RUN"),
    ("transcribe", "AUDIO", "--run", "RUN", "--checkpoint", "last"),
    ("align", "AUDIO", "one two", "--run", "RUN"),
    ("compare", "RUN", "RUN"),
    ("diff", "RUN", "RECIPE"),
    ("results", "RECIPE", "--readme", "README", "--out", "OUT"),
)


def cases(small: SmallRun, number: int, seed: int) -> Iterator[Case]:
    """Damage a file of a copy of the run, and give a command to it."""
    files = sorted(p.relative_to(small.run) for p in small.run.rglob("*") if p.is_file() and "code" not in p.parts)
    for index in range(number):
        rng = random.Random(f"{seed} run directories {index}")
        file, way, command = rng.choice(files), rng.choice(WAYS), rng.choice(COMMANDS)
        with _copy(small) as run:
            way(run / file, rng)
            words = [small.words(run).get(word, word) for word in command]
            yield called(f"{index}: {file} {way.__name__}, asrlab {' '.join(command)}", words)


@contextlib.contextmanager
def _copy(small: SmallRun) -> Iterator[Path]:
    root = small.folder / "copies"
    run = root / small.run.name
    shutil.copytree(small.run, run)
    before = os.environ["ASRLAB_RUNS"]
    os.environ["ASRLAB_RUNS"] = str(root)
    try:
        yield run
    finally:
        os.environ["ASRLAB_RUNS"] = before
        shutil.rmtree(root)
