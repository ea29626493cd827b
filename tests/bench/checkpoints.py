"""How long a checkpoint takes to save and to load, beside `cp` of the same bytes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import torch

from asr_lab.training import checkpoint
from asr_lab.training.parallel.group import Group
from asr_lab.training.state import Snapshot

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "training" / "parallel"))

from ranks import run_ranks

PARAMETERS = 20_000_000
ROWS = 1000
PROCESSES = 2


@attrs.frozen
class CheckpointFigures:
    """What a checkpoint of weights, two moments of each and an average costs; medians, in seconds."""

    megabytes: float
    cp_s: float
    """`cp` of its files, and `sync` of the copies."""
    save_s: float
    load_s: float
    """Checksums included."""
    processes: int
    sharded_save_s: float
    """By all processes, until the last is done."""
    sharded_load_s: float
    """By all processes, each all tensors."""
    whole_load_s: float
    """Of the sharded one by one process."""


def bench_checkpoints(repetitions: int, parameters: int = PARAMETERS) -> CheckpointFigures:
    """One process saves and loads, then several, in the temporary folder."""
    with tempfile.TemporaryDirectory(prefix="asrlab-checkpoints-") as made:
        folder = Path(made)
        snapshot = _snapshot(parameters)
        save_s = _median(lambda: checkpoint.write(folder / "one", snapshot), repetitions)
        load_s = _median(lambda: _touched(folder / "one"), repetitions)
        cp_s = _median(lambda: _copy(folder / "one", folder / "copy"), repetitions)
        together = run_ranks(PROCESSES, _together, folder / "several", parameters, repetitions)
        return CheckpointFigures(
            sum(path.stat().st_size for path in (folder / "one").iterdir()) / 1e6,
            cp_s,
            save_s,
            load_s,
            PROCESSES,
            max(save for save, _ in together),
            max(load for _, load in together),
            _median(lambda: _touched(folder / "several"), repetitions),
        )


def _snapshot(parameters: int) -> Snapshot:
    weights = {f"layer.{i}.weight": torch.randn(ROWS, 1000) for i in range(parameters // (ROWS * 1000))}
    moments = {f"{name}/{key}": t * 0.1 for name, t in weights.items() for key in ("exp_avg", "exp_avg_sq")}
    tensors = {"model": weights, "optimizer": moments, "average": {n: t * 0.5 for n, t in weights.items()}}
    return Snapshot(tensors, {"progress": {"step": 1}})


def _together(group: Group, folder: Path, parameters: int, repetitions: int) -> tuple[float, float]:
    snapshot = _snapshot(parameters)
    save_s = _median(lambda: checkpoint.write(folder, snapshot, group), repetitions)
    return save_s, _median(lambda: _touched(folder, group), repetitions)


def _touched(folder: Path, group: Group = checkpoint.ALONE) -> None:
    """Read a checkpoint, and every value of it."""
    for named in checkpoint.read(folder, group=group).tensors.values():
        for tensor in named.values():
            tensor.sum()


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["rm", "-rf", target], check=True)
    subprocess.run(["cp", "-r", source, target], check=True)
    subprocess.run(["sync", *target.iterdir()], check=True)


def _median(do: Callable[[], Any], repetitions: int) -> float:
    seconds = []
    for _ in range(repetitions):
        began = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
