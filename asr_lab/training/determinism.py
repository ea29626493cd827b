"""How far a run repeats itself: the settings of each level, what it promises, and whether that holds here."""

from __future__ import annotations

import os
from typing import Any

import torch

from asr_lab.errors import LabError, RunError
from asr_lab.training.arithmetic import LEVELS, Arithmetic
from asr_lab.training.cross_hardware.probe import KNOWN, probe

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_PROMISES = {
    ("off", "cpu"): "none: the threads may change between attempts",
    ("off", "cuda"): "none: kernels are chosen by timing",
    ("seeded", "cpu"): "same bits with the same threads and microbatches, on the same kind of processor with the same "
    "packages, for any number of data workers, inline or local",
    ("seeded", "cuda"): "same draws; sums in CUDA kernels may differ in their last bits",
    ("bitwise", "cpu"): "same bits with the same threads, on the same kind of processor with the same packages, for "
    "any number of data workers, inline or local, and any cut of gradients over processes",
    ("bitwise", "cuda"): "same bits on the same kind of GPU with the same packages; kernels without a way to that fail",
    ("cross_hardware", "cpu"): "same bits of weights, optimizer and losses on every processor that rounds as IEEE 754 "
    "says, with any threads, data workers and microbatches",
}


def apply_determinism(arithmetic: Arithmetic, device: torch.device) -> dict[str, Any]:
    """Set torch up for a level, see whether its promise holds here, and return the record of it.

    It is to be called before the first CUDA product: cuBLAS reads its workspace setting once. Under `bitwise` a kernel
    that has no deterministic variant raises instead of differing. RunError where this machine breaks the promise: a
    small training, run twice, differs; or, at `cross_hardware`, differs from every other machine's.
    """
    level = arithmetic.level
    if level not in LEVELS:
        raise LabError(f"determinism.level: no level {level!r} (have: {', '.join(LEVELS)})")
    strict = level in ("bitwise", "cross_hardware")
    if strict:
        os.environ.setdefault(_CUBLAS, ":4096:8")
    torch.use_deterministic_algorithms(strict)
    # Filling fresh memory with NaN is for finding bugs; it costs a pass over every tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = strict
    torch.backends.cudnn.benchmark = level == "off"
    record: dict[str, Any] = {
        "level": level,
        "device": device.type,
        "promise": _PROMISES[level, "cuda" if device.type == "cuda" else "cpu"],
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
    if device.type == "cuda":
        record |= {
            "gpu": torch.cuda.get_device_name(device),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "cublas_workspace": os.environ.get(_CUBLAS),
        }
    return record if level == "off" else record | _verified(arithmetic, device)


def _verified(arithmetic: Arithmetic, device: torch.device) -> dict[str, Any]:
    """What the probe says of this machine, with its threads and with one."""
    first, threads = probe(arithmetic, device), torch.get_num_threads()
    found: dict[str, Any] = {"probe": first, "repeats": probe(arithmetic, device) == first}
    if threads > 1 and device.type == "cpu":
        torch.set_num_threads(1)
        try:
            found["same_with_one_thread"] = probe(arithmetic, device) == first
        finally:
            torch.set_num_threads(threads)
    if arithmetic.level == "cross_hardware":
        found |= {"products": arithmetic.products.name, "same_as_elsewhere": first == KNOWN}
    promised = ["repeats"] if device.type == "cpu" or arithmetic.level != "seeded" else []
    if arithmetic.level == "cross_hardware":
        promised += ["same_as_elsewhere", "same_with_one_thread"]
    if broken := [name for name in promised if not found.get(name, True)]:
        raise RunError(
            f"determinism.level = {arithmetic.level!r} does not hold on this machine: a small training's bits fail "
            f"{', '.join(broken)} (probe {first[:12]}); set a lower level, and report the machine and its packages"
        )
    return found
