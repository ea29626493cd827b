"""RepDL's products where it is not built: the same chains of fused multiply-adds, made of float64 operations.

A product of two float32 numbers is exact in float64. The sum is rounded to odd there (Boldo and Melquiond, IEEE Trans.
Computers 57, 2008), so that rounding it to float32 gives what one rounding of the exact sum gives: `fmaf`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.training.cross_hardware.products import KernelCut


def fma(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """a * b + c of float32 numbers with one rounding, as C's `fmaf`: float32."""
    product, c = a.to(torch.float64) * b.to(torch.float64), c.to(torch.float64)
    total = product + c
    part = total - product
    lost = (product - (total - part)) + (c - part)  # Knuth's two-sum: exact
    bits = total.view(torch.int64)
    # Where something was lost and the last bit is even, the odd neighbour on its side stands for the exact sum.
    step = torch.where((lost > 0) == (total > 0), 1, -1)
    moved = torch.where((lost != 0) & (bits & 1 == 0) & total.isfinite(), bits + step, bits)
    return moved.view(torch.float64).to(torch.float32)


class TwinProducts:
    """What RepDL computes, about ten times slower, with nothing to install."""

    name = "twin"

    def mm(self, a: Tensor, b: Tensor) -> Tensor:
        total = a.new_zeros(a.shape[0], b.shape[1])
        for k in range(a.shape[1]):
            total = fma(a[:, k, None], b[k], total)
        return total

    def conv2d(self, image: Tensor, kernel: Tensor, cut: KernelCut) -> Tensor:
        batch, _, height, width = image.shape
        outs, ins, *size = kernel.shape
        out_size = _out_size((height, width), (size[0], size[1]), cut)
        total = image.new_zeros(batch, outs, *out_size)
        inside = torch.ones(1, 1, height, width, dtype=torch.bool, device=image.device)
        # Each output channel reads the input channels of its group.
        first = torch.arange(outs, device=image.device) // (outs // cut.groups) * ins
        for i in range(ins):
            read = image[:, first + i]
            for h, w in _places(size):
                value = fma(_under(read, h, w, out_size, cut), kernel[:, i, h, w, None, None], total)
                total = torch.where(_under(inside, h, w, out_size, cut), value, total)
        return total

    def conv2d_image(self, grad: Tensor, kernel: Tensor, size: tuple[int, int], cut: KernelCut) -> Tensor:
        outs, ins, *kernel_size = kernel.shape
        grad = grad.reshape(len(grad), cut.groups, -1, *grad.shape[2:])  # (B, G, O / G, H', W')
        kernel = kernel.reshape(cut.groups, -1, *kernel.shape[1:])
        total = grad.new_zeros(len(grad), cut.groups, ins, *size)
        spread = (size[0] + 2 * cut.padding[0], size[1] + 2 * cut.padding[1])
        known = torch.ones(1, *grad.shape[-2:], dtype=torch.bool, device=grad.device)
        for o in range(outs // cut.groups):
            for h, w in _places(kernel_size):
                sent = _spread(grad[:, :, o, None], h, w, spread, size, cut)
                value = fma(sent, kernel[:, o, :, h, w, None, None], total)
                total = torch.where(_spread(known, h, w, spread, size, cut), value, total)
        return total.flatten(1, 2)

    def conv2d_kernel(self, grad: Tensor, image: Tensor, size: tuple[int, int], cut: KernelCut) -> Tensor:
        out_size, outs = (grad.shape[2], grad.shape[3]), grad.shape[1] // cut.groups
        inside = torch.ones(1, 1, *image.shape[2:], dtype=torch.bool, device=image.device)
        read, valid = (
            torch.stack([_under(x, h, w, out_size, cut).flatten(2) for h, w in _places(size)], -1)
            for x in (image, inside)
        )
        read = read.view(len(read), cut.groups, 1, -1, *read.shape[2:])  # (B, G, 1, I / G, H' * W', h * w)
        grad = grad.reshape(len(grad), cut.groups, outs, 1, -1)  # (B, G, O / G, 1, H' * W')
        total = grad.new_zeros(cut.groups, outs, read.shape[3], size[0] * size[1])
        for b in range(len(grad)):
            for place in range(grad.shape[-1]):
                value = fma(grad[b, ..., place, None], read[b, ..., place, :], total)
                total = torch.where(valid[0, 0, place], value, total)
        return total.view(cut.groups * outs, -1, *size)


def _places(size: list[int] | tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Rows and columns of a kernel, row by row."""
    return ((h, w) for h in range(size[0]) for w in range(size[1]))


def _out_size(size: tuple[int, int], kernel: tuple[int, int], cut: KernelCut) -> tuple[int, int]:
    high, wide = ((n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, cut.padding, kernel, cut.stride, strict=True))
    return high, wide


def _under(x: Tensor, h: int, w: int, out_size: tuple[int, int], cut: KernelCut) -> Tensor:
    """What place (h, w) of the kernel sees at each place of the output: (…, H, W) to (…, *out_size)."""
    x = F.pad(x, (cut.padding[1], cut.padding[1], cut.padding[0], cut.padding[0]))
    x = x[..., h :: cut.stride[0], w :: cut.stride[1]]
    return x[..., : out_size[0], : out_size[1]]


def _spread(x: Tensor, h: int, w: int, spread: tuple[int, int], size: tuple[int, int], cut: KernelCut) -> Tensor:
    """The gradient that place (h, w) of the kernel sends to each place of the image, zeros where it sends none."""
    image = x.new_zeros(*x.shape[:-2], *spread)
    rows = min(x.shape[-2], math.ceil((spread[0] - h) / cut.stride[0]))
    columns = min(x.shape[-1], math.ceil((spread[1] - w) / cut.stride[1]))
    image[..., h :: cut.stride[0], w :: cut.stride[1]][..., :rows, :columns] = x[..., :rows, :columns]
    return image[..., cut.padding[0] : cut.padding[0] + size[0], cut.padding[1] : cut.padding[1] + size[1]]
