"""What a number format loses at both ends of its range, layer by layer: values that become 0, and values cut off."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from asr_lab.nn.low_precision.formats import E2M1, E4M3, E5M2, Format
from asr_lab.nn.low_precision.linear import LowPrecisionLinear
from asr_lab.nn.low_precision.scaling import (
    MX_BLOCK,
    NVFP4_BLOCK,
    by_row,
    by_tensor,
    mx_blocks,
    nvfp4_blocks,
    nvfp4_square,
)
from asr_lab.number_formats import LOW_PRECISIONS, Asked

MOST_ROUNDED_OFF = {E4M3: 1 / 16, E5M2: 1 / 8, E2M1: 1 / 4}
"""The largest share that rounding to the nearest takes off a normal number: what loses more is cut off."""


class RangeLoss(NamedTuple):
    """Of a tensor's values that are not 0, as shares."""

    underflow: float
    """Rounded to 0."""
    saturation: float
    """Cut off at the largest value that their scale allows, or infinite."""


class LayerRangeLoss(NamedTuple):
    """One linear layer's operands."""

    name: str
    input: RangeLoss
    weight: RangeLoss
    gradient: RangeLoss
    """Of the layer's output."""


class _Rounding(NamedTuple):
    """How an operand is rounded."""

    rounded: Callable[[Tensor], Tensor]  # (M, K) to the same, as it comes back
    block: int | None = None
    """Values of a row that share a scale; None = all, 0 = no scale."""
    form: Format | None = None


class Operands(NamedTuple):
    """How each operand of a layer is rounded in a format."""

    input: _Rounding
    weight: _Rounding
    gradient: _Rounding


def operands_of(asked: Asked) -> Operands | None:
    """How a format rounds what a linear layer multiplies; None for fp32.

    Delayed scaling is looked at with the scales of the present tensors, nvfp4's gradients rounded to the nearest.
    """
    if asked.format == "fp32":
        return None
    if asked.format not in LOW_PRECISIONS:
        dtype = torch.bfloat16 if asked.format == "bf16" else torch.float16
        plain = _Rounding(lambda x: x.to(dtype).float(), 0)
        return Operands(plain, plain, plain)
    if asked.format == "fp8" and asked.scaling == "rowwise":
        row = _Rounding(lambda x: by_row(x, E4M3), None, E4M3)
        return Operands(row, row, row)
    if asked.format == "fp8":
        forward = _Rounding(lambda x: by_tensor(x, E4M3), None, E4M3)
        return Operands(forward, forward, _Rounding(lambda x: by_tensor(x, E5M2), None, E5M2))
    if asked.format == "nvfp4":
        block = _Rounding(lambda x: nvfp4_blocks(x, E2M1).tensor(), NVFP4_BLOCK, E2M1)
        weight = _Rounding(lambda x: nvfp4_square(x, E2M1).tensor(), NVFP4_BLOCK, E2M1)
        return Operands(block, weight, block)
    form = E4M3 if asked.format == "mxfp8" else E2M1
    mx = _Rounding(lambda x: mx_blocks(x, form).tensor(), MX_BLOCK, form)
    return Operands(mx, mx, mx)


def range_loss(x: Tensor, how: _Rounding) -> RangeLoss:
    """What rounding x (M, K) loses."""
    x = x.detach().float()
    if how.block:
        x = F.pad(x, (0, -x.shape[-1] % how.block))
    there = x != 0
    count = max(1, int(there.sum()))
    rounded = how.rounded(x)
    underflow = int((there & (rounded == 0)).sum()) / count
    if how.form is None:
        cut = rounded.isinf() & x.isfinite()
    else:
        blocks = rounded.abs().view(len(rounded), -1, how.block or rounded.shape[-1])
        top = blocks.amax(-1, keepdim=True).expand_as(blocks).flatten(-2)
        furthest = top * (1 + MOST_ROUNDED_OFF[how.form]) * (1 + 1e-6)
        cut = (rounded.abs() == top) & (x.abs() > furthest) & (rounded != 0)
    return RangeLoss(underflow, int(cut.sum()) / count)


@contextlib.contextmanager
def watched(model: nn.Module, asked: Asked) -> Iterator[Callable[[], tuple[LayerRangeLoss, ...]]]:
    """Watch the linear layers that compute in a format while passes go through them; gives what to ask for the shares.

    They are means over the passes. Nothing that is computed changes.
    """
    operands = operands_of(asked)
    seen: dict[str, list[LayerRangeLoss]] = {}
    handles = []
    if operands is not None:
        for name, layer in model.named_modules():
            if isinstance(layer, LowPrecisionLinear if asked.format in LOW_PRECISIONS else nn.Linear):
                handles.append(_watch(name, layer, operands, seen))
    try:
        yield lambda: tuple(_mean(name, found) for name, found in seen.items())
    finally:
        for handle in handles:
            handle.remove()


def _watch(name: str, layer: nn.Linear, operands: Operands, seen: dict[str, list[LayerRangeLoss]]) -> RemovableHandle:
    def after(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        if not output.requires_grad:
            return
        given = range_loss(_flat(args[0]), operands.input)

        def on_the_way_back(grad: Tensor) -> None:
            weight = range_loss(layer.weight, operands.weight)
            gradient = range_loss(_flat(grad), operands.gradient)
            seen.setdefault(name, []).append(LayerRangeLoss(name, given, weight, gradient))

        output.register_hook(on_the_way_back)  # type: ignore[no-untyped-call]

    return layer.register_forward_hook(after)


def _flat(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])


def _mean(name: str, found: list[LayerRangeLoss]) -> LayerRangeLoss:
    parts = zip(*((one.input, one.weight, one.gradient) for one in found), strict=True)
    return LayerRangeLoss(name, *(RangeLoss(*(sum(v) / len(v) for v in zip(*of, strict=True))) for of in parts))
