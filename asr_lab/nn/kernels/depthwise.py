"""ReLU and a depthwise 3x3 convolution of stride 2 over frames and mels, block by block so that it stays in the cache.

Behind a stem's first convolution there are `channels * F / 4` values per frame, by far the largest activation of a
conformer: written to memory and read back in both passes it costs more than all matrix products of the stem. Here it
is made, used and forgotten in blocks, forward and again backward.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asr_lab.nn.kernels.autocast import without_autocast

BLOCK_VALUES = {"cpu": 1 << 19, "meta": 1 << 30}
"""Activations made at once, by device; elsewhere `ACCELERATOR_BLOCK_VALUES`."""
ACCELERATOR_BLOCK_VALUES = 1 << 27


def depthwise_of_patches(patches: Tensor, first: Tensor, weight: Tensor) -> Tensor:
    """Depthwise convolution of `relu(patches @ first)`.

    `patches` are (B, N, M, K), `first` is (K, C), `weight` (C, 1, 3, 3). Out frame j sees frames 2j to 2j + 2; mels are
    padded by one zero on either side: (B, (N - 1) // 2, ceil(M / 2), C).
    """
    return _ReluDepthwise.apply(patches, None, first, weight)  # type: ignore[no-any-return]


def depthwise_of_relu(x: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Depthwise convolution of `relu(x)` where `mask`, and of zeros elsewhere.

    `x` is (B, N, M, C), `mask` (B, N) bool, `weight` (C, 1, 3, 3). Shapes out as in `depthwise_of_patches`.
    """
    return _ReluDepthwise.apply(x, mask, None, weight)  # type: ignore[no-any-return]


def _blocks(batch: int, frames: int, values: int, device: str) -> Iterator[tuple[slice, slice]]:
    """Rows and output frames of each block, of which one output frame costs `values` activations."""
    budget = max(1, BLOCK_VALUES.get(device, ACCELERATOR_BLOCK_VALUES) // values)  # output frames in a block
    rows = max(1, budget // max(1, frames))
    for row in range(0, batch, rows):
        for frame in range(0, frames, budget):
            yield slice(row, min(batch, row + rows)), slice(frame, min(frames, frame + budget))


def _activation(x: Tensor, mask: Tensor | None, first: Tensor | None) -> Tensor:
    """What the convolution reads, (b, n, M, C)."""
    if first is not None:
        return torch.mm(x.reshape(-1, x.shape[3]), first).relu_().view(*x.shape[:3], -1)
    h = x.relu()
    return h if mask is None else h.mul_(mask[:, :, None, None])


class _ReluDepthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor | None, first: Tensor | None, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, mask, first, weight)
        batch, frames, mels = x.shape[0], (x.shape[1] - 1) // 2, x.shape[2]
        channels = weight.shape[0]
        out = x.new_empty(batch, frames, (mels + 1) // 2, channels)
        with without_autocast(x):
            for rows, j in _blocks(batch, frames, 2 * mels * channels, x.device.type):
                inside = slice(2 * j.start, 2 * j.stop + 1)
                h = _activation(x[rows, inside], None if mask is None else mask[rows, inside], first)
                y = torch.conv2d(h.permute(0, 3, 1, 2), weight, None, [2, 2], [0, 1], [1, 1], channels)
                out[rows, j] = y.permute(0, 2, 3, 1)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, Tensor]:
        x, mask, first, weight = ctx.saved_tensors
        channels = weight.shape[0]
        total = torch.promote_types(weight.dtype, torch.float32)
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        if grad_x is not None:  # the blocks write the rest
            grad_x[:, 2 * grad.shape[1] + 1 if grad.shape[1] else 0 :] = 0
        grad_first = None if first is None else torch.zeros_like(first, dtype=total)
        grad_weight = torch.zeros_like(weight, dtype=total)
        with without_autocast(x):
            for rows, j in _blocks(x.shape[0], grad.shape[1], 2 * x.shape[2] * channels, x.device.type):
                inside = slice(2 * j.start, 2 * j.stop + 1)
                block = x[rows, inside]
                h = _activation(block, None if mask is None else mask[rows, inside], first)
                grad_h, grad_w, _ = torch.ops.aten.convolution_backward(
                    grad[rows, j].permute(0, 3, 1, 2), h.permute(0, 3, 1, 2), weight, None,
                    [2, 2], [0, 1], [1, 1], False, [0, 0], channels, [True, True, False],
                )  # fmt: skip
                grad_weight += grad_w
                # Where h is 0, relu or the mask made it so: nothing flows.
                grad_z = torch.ops.aten.threshold_backward(grad_h.permute(0, 2, 3, 1), h, 0)
                if first is not None:
                    flat = grad_z.reshape(-1, channels)
                    grad_first += block.reshape(-1, block.shape[3]).t() @ flat
                    grad_z = (flat @ first.t()).view(block.shape) if grad_x is not None else grad_z
                if grad_x is not None:
                    shared = 1 if j.start else 0  # the frame that the block before has seen too
                    grad_x[rows, inside.start : inside.start + shared] += grad_z[:, :shared]
                    grad_x[rows, inside.start + shared : inside.stop] = grad_z[:, shared:]
        return (
            grad_x,
            None,
            None if grad_first is None else grad_first.to(first.dtype),
            grad_weight.to(weight.dtype),
        )
