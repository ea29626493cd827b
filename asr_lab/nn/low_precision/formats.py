"""Number formats of 8 and 4 bits, their values held in float32.

Source: Open Compute Project, "OCP 8-bit Floating Point Specification" 1.0 and "OCP Microscaling Formats (MX)" 1.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

BIAS = 127
"""Of the exponents of E8M0 and of float32."""
NAN_CODE = 255
"""E8M0's only value that is no power of two."""


class Format(NamedTuple):
    """A format that elements are rounded to."""

    name: str
    max: float
    """The largest finite value."""
    round: Callable[[Tensor], Tensor]
    """float32 to the nearest value of the format in float32, ties to even; beyond `max` it saturates, NaN stays."""


def round_e4m3(x: Tensor) -> Tensor:
    """To the nearest value of E4M3 (the kind without infinities), saturating at 448."""
    return x.clamp(-448.0, 448.0).to(torch.float8_e4m3fn).float()


def round_e5m2(x: Tensor) -> Tensor:
    """To the nearest value of E5M2, saturating at 57344."""
    return x.clamp(-57344.0, 57344.0).to(torch.float8_e5m2).float()


def round_e2m1(x: Tensor) -> Tensor:
    """To the nearest of 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives, ties to the even code, saturating at 6."""
    step = _e2m1_step(x)
    return torch.copysign((x.abs() / step).round() * step, x).clamp(-6.0, 6.0)


def round_e2m1_stochastically(x: Tensor) -> Tensor:
    """To one of the two neighbours in E2M1, each as likely as it is near; drawn from torch's generator of the device.

    The mean over draws is x, which rounding to nearest would bias. Saturates at 6.
    """
    step = _e2m1_step(x)
    low = (x.abs() / step).floor()
    up = torch.rand_like(x) < x.abs() / step - low
    return torch.copysign((low + up) * step, x).clamp(-6.0, 6.0)


def e2m1_codes(values: Tensor) -> Tensor:
    """The four bits (uint8, 0 to 15) of values that `round_e2m1` gives: sign, two of exponent, one of mantissa."""
    magnitudes = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0], device=values.device)
    code = torch.searchsorted(magnitudes, values.abs().contiguous())
    return (code + 8 * values.signbit()).to(torch.uint8)


E4M3 = Format("E4M3", 448.0, round_e4m3)
E5M2 = Format("E5M2", 57344.0, round_e5m2)
E2M1 = Format("E2M1", 6.0, round_e2m1)
E2M1_STOCHASTIC = Format("E2M1", 6.0, round_e2m1_stochastically)


def e8m0_code(scale: Tensor) -> Tensor:
    """The biased exponent (int32) of the least power of two that is not below a positive scale.

    0 stands for 2^-127, which everything smaller becomes; infinity is 254, NaN 255.
    """
    mantissa, exponent = torch.frexp(scale)
    code = (exponent - (mantissa == 0.5).to(exponent.dtype) + BIAS).clamp(0, 254)
    code = torch.where(scale == 0, 0, code)
    code = torch.where(scale.isinf(), 254, code)
    return torch.where(scale.isnan(), NAN_CODE, code).to(torch.int32)


def e8m0_value(code: Tensor) -> Tensor:
    """What biased exponents stand for, float32; 255 is NaN."""
    values = torch.ldexp(torch.ones_like(code, dtype=torch.float32), code - BIAS)
    return torch.where(code == NAN_CODE, torch.nan, values)


def power_of_two_below(x: Tensor) -> Tensor:
    """The largest power of two that is not above a positive number."""
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp(torch.full_like(mantissa, 0.5), exponent)


def _e2m1_step(x: Tensor) -> Tensor:
    """The distance between the neighbours of each number in E2M1: half of its power of two, and at least 0.5."""
    _, exponent = torch.frexp(x)
    return torch.ldexp(torch.ones_like(x), exponent.clamp(1, 3) - 2)
