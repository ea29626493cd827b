"""`just bench`: what training steps, encoders, plans and scores cost on this machine, beside other toolkits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer
from cases import AUDIO_S, BATCH, CASES, Case, chosen
from environment import Environment, default_threads, environment
from tables import print_tables

WORKER = Path(__file__).with_name("worker.py")


@attrs.frozen
class Report:
    """Everything that one benchmark found."""

    environment: Environment
    batch: int
    """Utterances of a training step."""
    audio_s: int
    """Seconds of each."""
    figures: dict[str, Any]
    """By case, as the workers gave them, and a training step's share of the run's best product of 2048³."""
    ratios: dict[str, float]
    """How many times as fast as its peer a twin takes a training step, by peer."""
    absent: list[str]
    """Peers that are not installed here."""


def bench(
    only: Annotated[str, typer.Option(metavar="A,B", help="Cases or kinds of cases; all without it.")] = "",
    peers: Annotated[bool, typer.Option("--peers", help="Also the other toolkits that are installed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
    profile: Annotated[str, typer.Option(metavar="CASE", help="Write a step's profile to docs/bench/ instead.")] = "",
    steps: Annotated[int, typer.Option(min=1, help="Repetitions that a median is of.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Default: OMP_NUM_THREADS, or every core.")] = default_threads(),
) -> None:
    """Measure training steps, encoders, the batch plan and scoring.

    Example: just bench --only twin,peer --peers
    """
    if profile:
        if profile not in [c.name for c in CASES if c.trains]:
            raise typer.BadParameter(f"{profile!r} is no training step", param_hint="--profile")
        print(_run(profile, steps, threads, "--profile")["profile"])
        return
    try:
        cases = chosen(only, peers)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from None
    report = _measure(cases, steps, threads)
    if as_json:
        print(json.dumps(attrs.asdict(report), indent=2))
    else:
        print_tables(report.environment, report.figures, report.ratios, report.absent)


def _measure(cases: tuple[Case, ...], steps: int, threads: int) -> Report:
    machine = environment(threads)
    figures: dict[str, Any] = {}
    for number, case in enumerate(cases, start=1):
        if case.installed:
            print(f"[{number}/{len(cases)}] {case.name}", file=sys.stderr, flush=True)
            figures[case.name] = _run(case.name, steps, threads)
    trained = [figures[c.name] for c in cases if c.trains and c.name in figures]
    peak = max((f["peak_flops_per_s"] for f in trained), default=0.0)  # what disturbs a process only lowers it
    for f in trained:
        f["share_of_peak"] = f["flops"] / f["step_s"] / peak
        f["share_of_own"] = f["flops"] / f["step_s"] / f["own_flops_per_s"]
    ratios = {
        c.name: figures[c.name]["step_s"] / figures[c.twin]["step_s"]
        for c in cases
        if c.twin in figures and c.name in figures
    }
    return Report(machine, BATCH, AUDIO_S, figures, ratios, [c.name for c in cases if not c.installed])


def _run(case: str, steps: int, threads: int, *options: str) -> Any:
    """A case's figures, from a process of its own; typer.Exit when that fails, its words on stderr."""
    command = [sys.executable, str(WORKER), case, str(steps), str(threads), *options]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"error: {case} failed with status {done.returncode}", file=sys.stderr)
        raise typer.Exit(1)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    typer.run(bench)
