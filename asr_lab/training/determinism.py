"""How far a run repeats itself: the settings, and what holds under them."""

from __future__ import annotations

import os
from typing import Any

import torch

from asr_lab.errors import LabError

LEVELS = ("off", "seeded", "bitwise")

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_GUARANTEES = {
    ("off", "cpu"): "none: the threads may change between attempts",
    ("off", "cuda"): "none: kernels are chosen by timing",
    ("seeded", "cpu"): "same bits with the same threads, on the same kind of processor with the same packages",
    ("seeded", "cuda"): "same draws; sums in CUDA kernels may differ in their last bits",
    ("bitwise", "cpu"): "same bits with the same threads, on the same kind of processor with the same packages",
    ("bitwise", "cuda"): "same bits on the same kind of GPU with the same packages; kernels without a way to that fail",
}


def apply_determinism(level: str, device: torch.device) -> dict[str, Any]:
    """Set torch up for a level (`off`, `seeded`, `bitwise`) and return the record of what holds.

    It is to be called before the first CUDA product: cuBLAS reads its workspace setting once. LabError for another
    level. Under `bitwise` a kernel that has no deterministic variant raises instead of differing.
    """
    if level not in LEVELS:
        raise LabError(f"determinism.level: no level {level!r} (have: {', '.join(LEVELS)})")
    bitwise = level == "bitwise"
    if bitwise:
        os.environ.setdefault(_CUBLAS, ":4096:8")
    torch.use_deterministic_algorithms(bitwise)
    # Filling fresh memory with NaN is for finding bugs; it costs a pass over every tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = bitwise
    torch.backends.cudnn.benchmark = level == "off"
    record: dict[str, Any] = {
        "level": level,
        "device": device.type,
        "guarantee": _GUARANTEES[level, "cuda" if device.type == "cuda" else "cpu"],
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
    return record
