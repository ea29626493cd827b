"""What a run adds to its training: the loop around each step, and the time from the command to the first one."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import attrs
from cases import RECIPES

from asr_lab.training.learner import Learner
from asr_lab.training.report import StepReport
from asr_lab.training.stopwatch import Stopwatch
from cli.main import app

RECIPE = RECIPES / "quickstart.toml"
STEPS = 40
OVERRIDES = (
    f"train.max_steps={STEPS}",
    "data.train.0.num_utterances=200",
    "data.valid.0.num_utterances=1",
    "data.test.0.num_utterances=1",
)


@attrs.frozen
class LoopFigures:
    """Of the quickstart; medians, in seconds."""

    step_s: float
    """Data, forward, backward, optimizer."""
    around_s: float
    """All else until the next step's end: reports, metrics, events, what is checked between."""
    torch_s: float
    """A Python that imports torch and ends."""
    first_step_s: float
    """From the command to the end of the first step, in a process of its own; its audio was made before."""


def bench_loop(repetitions: int) -> LoopFigures:
    """A run in this process, whose steps are timed; then the command, so often."""
    with tempfile.TemporaryDirectory(prefix="asrlab-loop-") as made:
        os.environ["ASRLAB_CACHE"] = str(Path(made, "cache"))
        step_s, around_s = _steps(Path(made, "timed"))
        return LoopFigures(
            step_s,
            around_s,
            statistics.median(_torch_s() for _ in range(repetitions)),
            statistics.median(_first_step_s(Path(made, f"run{number}")) for number in range(repetitions)),
        )


def _steps(runs: Path) -> tuple[float, float]:
    """Seconds of a step's phases, and of what is between two of them."""
    phases: list[float] = []
    ends: list[float] = []
    shares, steps = Stopwatch.shares, Learner.steps

    def noted(watch: Stopwatch) -> dict[str, float]:
        phases.append(sum(watch.seconds.values()))
        return shares(watch)

    def timed(learner: Learner) -> Iterator[StepReport]:
        for report in steps(learner):
            ends.append(time.perf_counter())
            yield report

    os.environ["ASRLAB_RUNS"] = str(runs)
    with patch.object(Stopwatch, "shares", noted), patch.object(Learner, "steps", timed):
        app(_arguments(), standalone_mode=False)
    whole = [after - before for before, after in itertools.pairwise(ends)]
    around = [total - own for total, own in zip(whole, phases[1:], strict=True)]
    return statistics.median(phases[1:]), statistics.median(around)


def _torch_s() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - began


def _first_step_s(runs: Path) -> float:
    began = time.time()
    command = [sys.executable, "-m", "cli.main", *_arguments()]
    subprocess.run(command, env={**os.environ, "ASRLAB_RUNS": str(runs)}, stdout=subprocess.DEVNULL, check=True)
    (events,) = runs.glob("*/events.jsonl")
    read = (json.loads(line) for line in events.read_text(encoding="utf-8").splitlines())
    return next(float(event["time"]) for event in read if event["kind"] == "step") - began


def _arguments() -> list[str]:
    return ["run", str(RECIPE), *(part for override in OVERRIDES for part in ("--set", override))]
