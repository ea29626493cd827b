"""Matrix products and convolutions as chains of fused multiply-adds in one order: RepDL's, and who computes them."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from asr_lab.errors import MissingPackageError

INSTALL = (
    "determinism.level = 'cross_hardware' computes with Microsoft's RepDL, which is on no package registry. "
    "Get its public sources (git clone https://github.com/microsoft/RepDL) and install them: with CUDA's nvcc "
    "`pip install --no-build-isolation ./RepDL`; without, its CPU part alone in about five minutes: "
    "`python -m asr_lab.training.cross_hardware.build_repdl RepDL FOLDER`, and FOLDER on PYTHONPATH"
)


class KernelCut(NamedTuple):
    """How a convolution's kernel moves over images (B, C, H, W)."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int


class Products(Protocol):
    """Float32 products. Each value is one chain `fmaf(a, b, sum)` from 0, in the order of RepDL's loops."""

    name: str

    def mm(self, a: Tensor, b: Tensor) -> Tensor:
        """(M, K) times (K, N), in the order of k."""
        ...

    def conv2d(self, image: Tensor, kernel: Tensor, cut: KernelCut) -> Tensor:
        """(B, I, H, W) under (O, I / groups, h, w), over channels, then rows, then columns of the kernel."""
        ...

    def conv2d_image(self, grad: Tensor, kernel: Tensor, size: tuple[int, int], cut: KernelCut) -> Tensor:
        """The gradient of an image (B, I, H, W) of this size."""
        ...

    def conv2d_kernel(self, grad: Tensor, image: Tensor, size: tuple[int, int], cut: KernelCut) -> Tensor:
        """The gradient of a kernel (O, I / groups, h, w) of this size."""
        ...


class RepDLProducts:
    """RepDL's operators (microsoft/RepDL), on tensors as they take them: float32, on the CPU."""

    name = "RepDL"

    def __init__(self, ops: Any) -> None:
        self._ops = ops

    def mm(self, a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = self._ops.mm(a, b)
        return found

    def conv2d(self, image: Tensor, kernel: Tensor, cut: KernelCut) -> Tensor:
        found: Tensor = self._ops.conv2d(image, kernel, cut.stride, cut.padding, cut.groups)
        return found

    def conv2d_image(self, grad: Tensor, kernel: Tensor, size: tuple[int, int], cut: KernelCut) -> Tensor:
        shape = (grad.shape[0], kernel.shape[1], *size)
        parts = zip(grad.chunk(cut.groups, 1), kernel.chunk(cut.groups, 0), strict=True)  # it has no groups here
        return torch.cat([self._ops.conv2d_grad_input(shape, k, g, cut.stride, cut.padding) for g, k in parts], 1)

    def conv2d_kernel(self, grad: Tensor, image: Tensor, size: tuple[int, int], cut: KernelCut) -> Tensor:
        shape = (grad.shape[1] // cut.groups, image.shape[1] // cut.groups, *size)
        parts = zip(grad.chunk(cut.groups, 1), image.chunk(cut.groups, 1), strict=True)
        return torch.cat([self._ops.conv2d_grad_kernel(x, shape, g, cut.stride, cut.padding) for g, x in parts], 0)


def has_repdl() -> bool:
    """Whether RepDL is installed."""
    return importlib.util.find_spec("repdl") is not None


def repdl_products() -> RepDLProducts:
    """RepDL's operators; MissingPackageError, which says how to get them, where they are not installed."""
    if not has_repdl():
        raise MissingPackageError(INSTALL)
    # Its operators import the CUDA part whether they use it or not, and a build of the CPU part has none.
    if importlib.util.find_spec("repdl.backend.cuda") is None:
        sys.modules.setdefault("repdl.backend.cuda", types.ModuleType("repdl.backend.cuda"))
    try:
        return RepDLProducts(importlib.import_module("repdl.ops"))
    except ImportError as error:
        raise MissingPackageError(f"RepDL is installed and does not load ({error}). {INSTALL}") from error
