"""Run directories with one file or folder damaged, under each command that reads them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from damage import FOLDER_WAYS, WAYS
from outcomes import Case, called
from small_run import SmallRun

COMMANDS = (
    ("runs",),
    ("runs", "--json"),
    ("run", "RECIPE"),
    ("run", "RECIPE", "--accept-changes"),
    ("run", "RECIPE", "--accept-changes", "--set", "decode.nbest=1"),
    ("watch", "RUN"),
    ("watch", "RUN", "--json"),
    ("eval", "RUN"),
    ("cancel", "RUN"),
    ("logs", "RUN"),
    ("eval", "RUN", "--data", "DATA"),
    ("transcribe", "AUDIO", "--run", "RUN"),
    ("transcribe", "AUDIO", "--run", "RUN", "--checkpoint", "last"),
    ("transcribe", "AUDIO", "--run", "RUN", "--checkpoint", "average"),
    ("transcribe", "AUDIO", "--run", "RUN", "--stream"),
    ("align", "AUDIO", "one two", "--run", "RUN"),
    ("compare", "RUN", "RUN"),
    ("compare-streaming", "RUN", "--chunk-ms", "320,whole", "--max-utterances", "1"),
    ("diff", "RUN", "RECIPE"),
    ("results", "RECIPE", "--readme", "README", "--out", "OUT"),
)
LAST_STEP = 2
"""Of the copies that look as a kill leaves them."""


def cases(
    small: SmallRun, number: int, seed: int, first: int = 0, call: Callable[[str, Sequence[str]], Case] = called
) -> Iterator[Case]:
    """Damage a file or folder of a copy of the run, finished or killed halfway, and give a command to it."""
    for index in range(first, first + number):
        rng = random.Random(f"{seed} run directories {index}")
        command, is_killed = rng.choice(COMMANDS), rng.random() < 0.3
        with _copy(small, is_killed) as run:
            place = rng.choice(sorted(p for p in run.rglob("*") if "code" not in p.relative_to(run).parts))
            way = rng.choice(FOLDER_WAYS if place.is_dir() else WAYS)
            way(place, rng)
            words = [small.words(run).get(word, word) for word in command]
            what = f"{'killed' if is_killed else 'finished'}, {place.relative_to(run)} {way.__name__}"
            yield call(f"{index}: {what}, asrlab {' '.join(command)}", words)


@contextlib.contextmanager
def _copy(small: SmallRun, is_killed: bool) -> Iterator[Path]:
    root = small.folder / "copies"
    run = root / small.run.name
    shutil.copytree(small.run, run)
    if is_killed:
        _forget_the_end(run)
    before = os.environ["ASRLAB_RUNS"]
    os.environ["ASRLAB_RUNS"] = str(root)
    try:
        yield run
    finally:
        os.environ["ASRLAB_RUNS"] = before
        shutil.rmtree(root)


def _forget_the_end(run: Path) -> None:
    """What is there after a kill at the second step: the rest of training and the scores are not."""
    shutil.rmtree(run / "eval")
    for name in ("report.html", "curve.svg", "lock/0001.end"):
        (run / name).unlink()
    for folder in (run / "checkpoints").glob("step-*"):
        if int(folder.name.removeprefix("step-")) > LAST_STEP:
            shutil.rmtree(folder)
    for name in ("events.jsonl", "metrics.jsonl"):
        lines = (run / name).read_text().splitlines(keepends=True)
        kept = next(i for i, line in enumerate(lines) if json.loads(line).get("step", 0) > LAST_STEP)
        (run / name).write_text("".join(lines[:kept]))
