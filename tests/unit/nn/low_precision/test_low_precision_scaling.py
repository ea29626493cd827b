"""Scales of rows, tensors and blocks: against loops over single numbers, and against torchao where it is installed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from asr_lab.nn.low_precision import scaling
from asr_lab.nn.low_precision.formats import E2M1, E4M3, E5M2, Format, e2m1_codes, e8m0_code


def drawn(rows: int, columns: int, spread: float = 3.0) -> Tensor:
    """Rows of very different magnitude, one of zeros."""
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, columns, generator=generator)
    x *= torch.exp(spread * torch.randn(rows, 1, generator=generator))
    x[0] = 0
    return x


def naive_mx(block: list[float], form: Format) -> list[float]:
    largest = max(map(abs, block))
    # float32's own quotient is what the scale is taken of.
    quotient = float(torch.tensor(largest) / form.max)
    exponent = -127 if quotient == 0 else max(-127, math.ceil(math.log2(quotient)))
    scale = 2.0**exponent
    return [float(form.round(torch.tensor(x / scale))) * scale if exponent > -127 else 0.0 for x in block]


@pytest.mark.parametrize("form", [E4M3, E2M1], ids=lambda form: form.name)
def test_blocks_of_32_have_a_power_of_two_each(form: Format) -> None:
    x = drawn(20, 96)
    wanted = [[v for b in range(0, 96, 32) for v in naive_mx(row[b : b + 32], form)] for row in x.tolist()]
    assert torch.equal(scaling.mx_blocks(x, form).tensor(), torch.tensor(wanted))


def test_no_element_of_a_block_saturates_by_its_scale_alone() -> None:
    for largest in (447.0, 448.0, 449.0, 6.0, 7.0, 1e-20, 3e38):
        x = torch.linspace(0, 1, 32).mul(largest).unsqueeze(0)
        blocks = scaling.mx_blocks(x, E4M3)
        assert (x / blocks.scales.unsqueeze(-1)).max() <= E4M3.max
        assert (blocks.scales / 2 * E4M3.max < largest).all()


@pytest.mark.parametrize("form", [E4M3, E5M2], ids=lambda form: form.name)
def test_rows_and_tensors_come_back_within_half_a_step(form: Format) -> None:
    x = drawn(30, 48, spread=1.0)
    half_step = {"E4M3": 2**-4, "E5M2": 2**-3}[form.name]
    least = {"E4M3": 2**-9, "E5M2": 2**-16}[form.name] / form.max
    for back, largest in (
        (scaling.by_row(x, form), x.abs().amax(1, keepdim=True)),
        (scaling.by_tensor(x, form), x.abs().max()),
    ):
        # A row's scale is rounded down to a power of two, so its steps may be twice as wide.
        assert ((back - x).abs() <= torch.maximum(x.abs() * half_step, largest * least)).all()
        assert torch.equal(back[0], torch.zeros(48))


def test_a_row_is_rounded_without_regard_to_others_and_a_tensor_is_not() -> None:
    x = drawn(4, 32)
    louder = torch.cat([x, x.abs().max() * 3.3 * torch.ones(1, 32)])
    assert torch.equal(scaling.by_row(louder, E4M3)[:4], scaling.by_row(x, E4M3))
    assert torch.equal(scaling.mx_blocks(louder, E2M1).tensor()[:4], scaling.mx_blocks(x, E2M1).tensor())
    assert not torch.equal(scaling.by_tensor(louder, E4M3)[:4], scaling.by_tensor(x, E4M3))
    assert not torch.equal(scaling.nvfp4_blocks(louder, E2M1).tensor()[:4], scaling.nvfp4_blocks(x, E2M1).tensor())


def test_a_weight_in_squares_rounds_alike_when_it_is_transposed() -> None:
    weight = drawn(48, 32, spread=1.0)
    square = scaling.nvfp4_square(weight, E2M1).tensor()
    assert torch.equal(square, scaling.nvfp4_square(weight.T.contiguous(), E2M1).tensor().T)


def test_a_rotation_cancels_in_the_product_of_what_it_rotated() -> None:
    x, y = drawn(5, 64, spread=0.5), drawn(7, 64, spread=0.5)
    signs = 1.0 - 2.0 * torch.randint(0, 2, (16,), generator=torch.Generator().manual_seed(3))
    rotated = scaling.hadamard(x, signs) @ scaling.hadamard(y, signs).T
    torch.testing.assert_close(rotated, x @ y.T)
    assert not torch.equal(scaling.hadamard(x, signs), x)


@pytest.mark.parametrize("blocks", [scaling.mx_blocks, scaling.nvfp4_blocks])
def test_dims_that_blocks_do_not_tile_are_refused(blocks: object) -> None:
    with pytest.raises(ValueError, match="do not tile a dimension of 40"):
        blocks(torch.zeros(2, 40), E2M1)  # type: ignore[operator]
    with pytest.raises(ValueError, match="do not tile 40 by 32"):
        scaling.nvfp4_square(torch.zeros(40, 32), E2M1)


def test_blocks_equal_torchaos() -> None:
    mx = pytest.importorskip("torchao.prototype.mx_formats.mx_tensor")
    from torchao.prototype.mx_formats.config import ScaleCalculationMode
    from torchao.prototype.mx_formats.kernels import unpack_uint4
    from torchao.prototype.mx_formats.nvfp4_tensor import nvfp4_quantize, per_tensor_amax_to_scale

    x = drawn(3000, 64, spread=12.0)
    x[1:4] = torch.tensor([448.0, 449.0, 1e-45]).unsqueeze(1)
    scale, data = mx.to_mx(x, torch.float8_e4m3fn, 32, ScaleCalculationMode.RCEIL)
    blocks = scaling.mx_blocks(x, E4M3)
    code = e8m0_code(x.view(-1, 2, 32).abs().amax(-1) / E4M3.max)
    assert torch.equal(code.to(torch.uint8), scale.view(torch.uint8))
    assert torch.equal(blocks.values.flatten(-2), data.float())
    scale, data = mx.to_mx(x, torch.float4_e2m1fn_x2, 32, ScaleCalculationMode.RCEIL)
    assert torch.equal(e2m1_codes(scaling.mx_blocks(x, E2M1).values.flatten(-2)), unpack_uint4(data))
    y = drawn(500, 64)
    whole = per_tensor_amax_to_scale(y.abs().max())
    scale, data = nvfp4_quantize(y, 16, whole)
    blocks = scaling.nvfp4_blocks(y, E2M1)
    assert torch.equal(blocks.scales, scale.float() * whole)
    assert torch.equal(e2m1_codes(blocks.values.flatten(-2)), unpack_uint4(data))
