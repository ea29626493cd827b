"""Which device computes, and which of the machine's processors read audio for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.number_formats import Gpu

if TYPE_CHECKING:
    import torch

MAX_WORKERS = 4
ANSWER_S = 10.0
"""Patience with `nvidia-smi`."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def num_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def num_workers(wanted: int | None, processors: int | None = None) -> int:
    """How many processes read audio: `wanted`, or without it one for every two processors, one to four.

    `processors` are those to count with, by default all that this process may use.
    """
    return min(max(1, (processors or num_processors()) // 2), MAX_WORKERS) if wanted is None else wanted


def threads_beside(workers: int, processors: int | None = None) -> int | None:
    """How many threads should train beside `workers` processes that read; None where the environment says.

    Each reader gets a processor, half of them at most. Threads that share a product wait for one another, so one
    that has to share its processor holds up all: on two processors, two threads beside two readers trained a
    small model a quarter slower than one thread beside one reader.
    """
    if any(os.environ.get(name) for name in THREAD_VARIABLES):
        return None
    processors = processors or num_processors()
    return max(1, processors - min(workers, processors // 2))


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, by number or name; found without torch."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return tuple(name.strip() for name in listed.split(",") if name.strip() and not name.strip().startswith("-"))
    return tuple(str(number) for number in range(sum(1 for _ in Path("/dev").glob("nvidia[0-9]*"))))


def environment_beside(slot: int, workers: int, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of one of so many processes: the processors shared by all of them, and one of the GPUs.

    A single one gets the machine as `asrlab run` does; what the environment states already stands.
    """
    changed, gpus = dict(environ), visible_gpus()
    if workers == 1:
        return changed
    if not any(environ.get(name) for name in THREAD_VARIABLES):
        changed |= dict.fromkeys(THREAD_VARIABLES, str(max(1, num_processors() // workers)))
    if gpus:
        changed["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    return changed


def local_gpu() -> Gpu | None:
    """The first GPU that this process may use, found without torch by NVIDIA's `nvidia-smi`; None where there is none.

    None, too, where `nvidia-smi` cannot say.
    """
    visible = visible_gpus()
    if not visible:
        return None
    asked = ["nvidia-smi", f"--id={visible[0]}", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=ANSWER_S, check=True).stdout
        name, _, capability = told.strip().splitlines()[0].rpartition(",")
        major, minor = (int(part) for part in capability.strip().split("."))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
    return Gpu(name.strip(), (major, minor))


def best_device() -> torch.device:
    """The first GPU where there is one, else the CPU; it loads torch."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
