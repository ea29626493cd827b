"""What a pretended GPU refuses, counts and casts, tried in a process of its own: a word for each rule that holds."""

from __future__ import annotations

import os

import pytest
import torch
from pretended_gpu import CUDA, OnGpu, PretendedGpu


def mixed_devices_are_refused() -> None:
    with PretendedGpu(), pytest.raises(RuntimeError, match="at least two devices"):
        torch.ones(2, device="cuda") + torch.ones(2)


def waits_are_counted_and_views_launch_nothing() -> None:
    with PretendedGpu() as gpu:
        x = torch.arange(6.0, device=CUDA)
        gpu.forget()
        view = x.view(2, 3).transpose(0, 1)
        assert not gpu.kernels
        assert float((view + 1).sum()) == 21.0
        assert dict(gpu.kernels) == {"add": 1, "sum": 1}
        assert gpu.waits.total() == 1


def autocast_takes_cudas_table() -> None:
    with PretendedGpu(), torch.autocast("cuda", dtype=torch.bfloat16):
        x = torch.ones(2, 2, device=CUDA)
        assert isinstance(x, OnGpu)
        assert (x @ x).dtype == torch.bfloat16
        assert x.softmax(0).dtype == torch.float32
        assert x.exp().dtype == torch.float32, "which the processor's table leaves alone"


if __name__ == "__main__":
    mixed_devices_are_refused()
    print("devices")
    waits_are_counted_and_views_launch_nothing()
    print("waits")
    autocast_takes_cudas_table()
    print("autocast", flush=True)
    os._exit(0)  # what was replaced in torch is gone before torch is
