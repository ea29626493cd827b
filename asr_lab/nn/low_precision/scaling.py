"""How a tensor is scaled into a format: by rows, as a whole, by what was seen before, or in blocks.

Each function gives the tensor as it comes back: rounded values times their scales, in float32, or in float64 where that
came in. Rows and blocks run over the last dimension, which is the one that a product sums over.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from asr_lab.nn.low_precision.formats import E4M3, Format, e8m0_code, e8m0_value, power_of_two_below

LEAST_MAX = 1e-12
"""A largest magnitude below it counts as this, as in torchao."""
MX_BLOCK = 32
NVFP4_BLOCK = 16


class Blocks(NamedTuple):
    """A tensor in blocks: element values of the format, and the scale of each block."""

    values: Tensor  # (..., K / block, block)
    scales: Tensor  # (..., K / block)

    def tensor(self) -> Tensor:
        """The tensor (..., K) that they stand for."""
        return (self.values * self.scales.unsqueeze(-1)).flatten(-2)


def by_row(x: Tensor, form: Format) -> Tensor:
    """Each row (..., K) by a power of two of its own, so that its largest magnitude is just within the format."""
    scale = power_of_two_below(_scale(x.abs().amax(-1, keepdim=True), form))
    return (form.round(x.float() * scale) / scale).to(_sums(x))


def by_tensor(x: Tensor, form: Format) -> Tensor:
    """The whole tensor by one scale, so that its largest magnitude is the format's."""
    scale = _scale(x.abs().max(), form)
    return (form.round(x.float() * scale) / scale).to(_sums(x))


def mx_blocks(x: Tensor, form: Format) -> Blocks:
    """Blocks of 32 with a power of two each, the least with which no element saturates (NVIDIA's RCEIL).

    Source: cuBLAS's documentation, "D block quantization". ValueError where 32 does not divide the last dimension.
    """
    blocks = _in_blocks(x, MX_BLOCK)
    code = e8m0_code(blocks.abs().amax(-1) / form.max)
    scales = e8m0_value(code)
    # 2^-127 is no normal float32, and its reciprocal none at all; what is as small as that rounds to nothing.
    reciprocal = torch.where(code == 0, 1.0, 1.0 / scales)
    return Blocks(form.round(blocks * reciprocal.unsqueeze(-1)).to(_sums(x)), scales)


def nvfp4_blocks(x: Tensor, form: Format, largest: Tensor | None = None) -> Blocks:
    """Blocks of 16 with a scale in E4M3 each, and one of the whole tensor in float32.

    `largest` is the magnitude of each block where blocks share it, (..., K / 16). Source: NVIDIA, "Pretraining Large
    Language Models with NVFP4" (arXiv:2509.25149). ValueError where 16 does not divide the last dimension.
    """
    blocks = _in_blocks(x, NVFP4_BLOCK)
    largest = blocks.abs().amax(-1) if largest is None else largest
    whole = blocks.abs().max().clamp_min(LEAST_MAX) / (E4M3.max * form.max)
    least = torch.finfo(torch.float8_e4m3fn).tiny
    scales = E4M3.round((largest / form.max / whole).clamp(least, E4M3.max))
    reciprocal = (1.0 / whole) / scales
    return Blocks(form.round(blocks * reciprocal.unsqueeze(-1)).to(_sums(x)), scales * whole)


def nvfp4_square(weight: Tensor, form: Format) -> Blocks:
    """A weight (N, K) in blocks of 16 by 16, which round alike when it is transposed.

    ValueError where 16 does not divide both.
    """
    rows, columns = weight.shape
    if rows % NVFP4_BLOCK or columns % NVFP4_BLOCK:
        raise ValueError(f"blocks of {NVFP4_BLOCK} by {NVFP4_BLOCK} do not tile {rows} by {columns}")
    squares = weight.float().view(rows // NVFP4_BLOCK, NVFP4_BLOCK, columns // NVFP4_BLOCK, NVFP4_BLOCK)
    largest = squares.abs().amax((1, 3)).repeat_interleave(NVFP4_BLOCK, 0)
    return nvfp4_blocks(weight, form, largest)


def hadamard(x: Tensor, signs: Tensor) -> Tensor:
    """Each 16 of the last dimension, rotated: an orthogonal matrix after signs (16,) of ±1.

    What two operands of a product share of it cancels in the product; outliers are spread over their block.
    """
    matrix = torch.ones(1, 1, device=x.device)
    while len(matrix) < NVFP4_BLOCK:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    rotated: Tensor = (_in_blocks(x, NVFP4_BLOCK) * signs) @ (matrix / NVFP4_BLOCK**0.5)
    return rotated.flatten(-2)


def _sums(x: Tensor) -> torch.dtype:
    """What products of a tensor are summed in."""
    return torch.promote_types(x.dtype, torch.float32)


def _scale(largest: Tensor, form: Format) -> Tensor:
    # In double precision, as in torchao, so that compiled code divides alike.
    return (form.max / largest.double().clamp_min(LEAST_MAX)).float()


def _in_blocks(x: Tensor, size: int) -> Tensor:
    if x.shape[-1] % size:
        raise ValueError(f"blocks of {size} do not tile a dimension of {x.shape[-1]}")
    return x.float().reshape(*x.shape[:-1], -1, size)
