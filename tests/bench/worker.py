"""One case in a process of its own, so that its memory is its own: `worker.py CASE STEPS THREADS`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import torch
from cases import CASES, Case
from environment import environment, resident_mb

if TYPE_CHECKING:
    from steps import Trainee

PROFILES = Path(__file__).resolve().parents[2] / "docs" / "bench"
ROWS = 40


def main() -> None:
    """Prints the case's figures as one line of JSON, or writes its profile and prints where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=[c.name for c in CASES])
    parser.add_argument("steps", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("--profile", action="store_true", help="write docs/bench/CASE.txt instead")
    given = parser.parse_args()
    (case,) = (c for c in CASES if c.name == given.case)
    torch.set_num_threads(given.threads)
    print(json.dumps(profile(case, given.steps, given.threads) if given.profile else figures(case, given.steps)))


def figures(case: Case, steps: int) -> object:
    """What `main.py` reads."""
    if case.kind == "encoder":
        from encoders import bench_encoders

        return [attrs.asdict(f) for f in bench_encoders(steps)]
    if case.kind == "plan":
        from planning import bench_plan

        return attrs.asdict(bench_plan())
    if case.kind == "million":
        from million import bench_million

        return attrs.asdict(bench_million())
    if case.kind == "reading":
        from reading import bench_reading

        return [attrs.asdict(f) for f in bench_reading(steps)]
    if case.kind == "scoring":
        from scoring import bench_scoring

        return {"cpu_s": bench_scoring(), "peak_mb": resident_mb(peak=True)}
    if case.kind == "checkpoints":
        from checkpoints import bench_checkpoints

        return attrs.asdict(bench_checkpoints(steps))
    if case.kind == "parallel":
        from parallel import bench_parallel

        return [attrs.asdict(f) for f in bench_parallel(steps)]
    if case.kind == "loop":
        from loop import bench_loop

        return attrs.asdict(bench_loop(steps))
    if case.lives:
        from live import bench_live, recipe_streams

        if case.is_peer:
            from peers import nemo_streams
        return [attrs.asdict(f) for f in bench_live(nemo_streams() if case.is_peer else recipe_streams(case), steps)]
    from steps import measure

    return attrs.asdict(measure(_trainee(case), steps))


def profile(case: Case, steps: int, threads: int) -> object:
    """Where a training step's time goes: torch.profiler's table of the operators that take most of their own."""
    from steps import WARM_UP_STEPS
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    lines = environment(threads).lines()
    trainee = _trainee(case)
    for _ in range(WARM_UP_STEPS):
        trainee.step()
    with record(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(steps):
            trainee.step()
    table = recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=ROWS, max_name_column_width=60)
    PROFILES.mkdir(parents=True, exist_ok=True)
    path = PROFILES / f"{case.name}.txt"
    body = "\n".join(line.rstrip() for line in table.splitlines())
    path.write_text("\n".join([f"{case.name}: {steps} training steps", *lines, "", body, ""]), encoding="utf-8")
    return {"profile": str(path.relative_to(PROFILES.parents[1]))}


def _trainee(case: Case) -> Trainee:
    if case.recipe is not None:
        from steps import recipe_trainee

        return recipe_trainee(case.recipe)
    from peers import peer_trainee

    return peer_trainee(case.name)


if __name__ == "__main__":
    main()
