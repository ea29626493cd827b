"""Number formats of training: an autocast region, and a gradient scaler where the format needs one."""

from __future__ import annotations

import torch

from asr_lab.devices import best_device
from asr_lab.errors import LabError

_DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class PrecisionManager:
    """One number format: weights stay in 32 bits, matrix products use `dtype` inside `autocast()`."""

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        self.name = name
        self.dtype = dtype

    def autocast(self, device: torch.device | str | None = None) -> torch.autocast:
        """A region in which matrix products use this format, on the CPU and on CUDA; for fp32 autocast is off there.

        `device` is where the tensors are; without it the CUDA device, if there is one, else the CPU.
        """
        kind = _device(device).type
        return torch.autocast(kind, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def scaler(self, device: torch.device | str | None = None) -> torch.amp.GradScaler | None:
        """A fresh gradient scaler for fp16, whose small gradients would vanish otherwise; None for the others."""
        return torch.amp.GradScaler(_device(device).type) if self.dtype == torch.float16 else None

    def __repr__(self) -> str:
        return f"PrecisionManager({self.name!r})"


def get_precision_manager(name: str) -> PrecisionManager:
    """The manager of `fp32`, `bf16` or `fp16`; LabError for another name."""
    if name not in _DTYPES:
        raise LabError(f"no precision called {name!r} (have: {', '.join(_DTYPES)})")
    return PrecisionManager(name, _DTYPES[name])


def _device(device: torch.device | str | None) -> torch.device:
    if device is None:
        return best_device()
    return torch.device(device)
