"""`just bench`: what training steps, live streams, encoders, plans and scores cost here, beside other toolkits."""

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
CASE_LIMIT_S = 900
"""No case takes longer; one that does has failed."""


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
    """How many times as fast as its peer a twin takes a training step, or how many times as many streams, by peer."""
    absent: list[str]
    """Peers that are not installed here."""
    failed: dict[str, str]
    """Cases that gave no figures, and the last line of their stderr."""


def bench(
    only: Annotated[str, typer.Option(metavar="A,B", help="Cases or kinds of cases; all without it.")] = "",
    peers: Annotated[bool, typer.Option("--peers", help="Also the other toolkits that are installed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts, and tables to stderr.")] = False,
    profile: Annotated[str, typer.Option(metavar="CASE", help="Write a step's profile to docs/bench/ instead.")] = "",
    steps: Annotated[int, typer.Option(min=1, help="Repetitions that a median is of.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Default: OMP_NUM_THREADS, or every core.")] = default_threads(),
) -> None:
    """Measure training steps, live streams, encoders, plans, scores, checkpoints, several processes and the loop.

    What the README quotes: just bench --peers --json > docs/bench/bench.json, then python tests/bench/readme.py

    Example: just bench --only twin,peer --peers
    """
    if profile:
        if profile not in [c.name for c in CASES if c.trains]:
            raise typer.BadParameter(f"{profile!r} is no training step", param_hint="--profile")
        done = _run(profile, steps, threads, "--profile")
        if isinstance(done, Failure):
            raise typer.Exit(1)
        print(done["profile"])
        return
    try:
        cases = chosen(only, peers)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from None
    report = _measure(cases, steps, threads)
    found = attrs.asdict(report)
    if as_json:
        print(json.dumps(found, indent=1))
    print_tables(found, report.environment.lines(), to_stderr=as_json)
    if any(not c.is_peer for c in CASES if c.name in report.failed):
        raise typer.Exit(1)


def _measure(cases: tuple[Case, ...], steps: int, threads: int) -> Report:
    machine = environment(threads)
    figures: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for number, case in enumerate(cases, start=1):
        if case.installed:
            print(f"[{number}/{len(cases)}] {case.name}", file=sys.stderr, flush=True)
            done = _run(case.name, steps, 1 if case.lives else threads)
            if isinstance(done, Failure):
                failed[case.name] = done.why
            else:
                figures[case.name] = done
    trained = [figures[c.name] for c in cases if c.trains and c.name in figures]
    peak = max((f["peak_flops_per_s"] for f in trained), default=0.0)  # what disturbs a process only lowers it
    for f in trained:
        f["share_of_peak"] = f["flops"] / f["step_s"] / peak
        f["share_of_own"] = f["flops"] / f["step_s"] / f["own_flops_per_s"]
    ratios: dict[str, float] = {}
    for case in cases:
        if case.twin in figures and case.name in figures:
            ratios |= _ratios(case, figures[case.name], figures[case.twin])
    return Report(machine, BATCH, AUDIO_S, figures, ratios, [c.name for c in cases if not c.installed], failed)


def _ratios(peer: Case, theirs: Any, ours: Any) -> dict[str, float]:
    if peer.trains:
        return {peer.name: theirs["step_s"] / ours["step_s"]}
    return {
        f"{peer.name} at {b['chunk_ms']} ms x {b['batch']}": a["streams_per_core"] / b["streams_per_core"]
        for a, b in zip(ours, theirs, strict=True)
    }


@attrs.frozen
class Failure:
    """A case that gave no figures."""

    why: str


def _run(case: str, steps: int, threads: int, *options: str) -> Any:
    """A case's figures, from a process of its own, or a Failure; its output is on stderr then."""
    command = [sys.executable, str(WORKER), case, str(steps), str(threads), *options]
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=CASE_LIMIT_S)
    except subprocess.TimeoutExpired:
        return _failed(case, f"took longer than {CASE_LIMIT_S} s", "")
    if done.returncode:
        output = done.stderr.strip().splitlines()
        return _failed(case, f"status {done.returncode}: {output[-1] if output else 'it printed nothing'}", done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _failed(case: str, why: str, output: str) -> Failure:
    print(f"{output}error: {case} failed, {why}", file=sys.stderr)
    return Failure(why)


if __name__ == "__main__":
    typer.run(bench)
