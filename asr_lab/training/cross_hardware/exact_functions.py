"""Exponential, logarithm, sine, cosine and error function from sums, products and quotients alone; and the root.

A processor rounds these three as IEEE 754 says, so the same steps give the same bits everywhere; libraries' own
functions differ in their last bit between instruction sets. All is float64: a float32 result is rounded once at the
end, which is how RepDL computes exp and log, and equals the correctly rounded value in all but about one of 10^8 cases.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

LN2 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
"""The logarithm of 2 as a number of 32 bits and the rest (fdlibm)."""
HALF_PI = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
"""A quarter turn as two numbers of 33 bits and the rest (fdlibm)."""
LN_2 = 0.6931471805599453
LOG2_E = 1.4426950408889634
LOG10_E = 0.4342944819032518
TWO_BY_PI = 0.6366197723675814
TWO_BY_ROOT_PI = 1.1283791670955126
BIAS, MANTISSA_BITS = 1023, 52
LARGEST_ANGLE = float(1 << 20)
"""Radians; a product with a part of HALF_PI is exact below."""


def exp(x: Tensor) -> Tensor:
    """e to the power of x, in x's type."""
    wide = x.to(torch.float64)
    bounded = wide.clamp(-760.0, 720.0)
    times = (bounded * LOG2_E).round()
    rest = (bounded - times * LN2[0]) - times * LN2[1]  # within 0.35 of 0
    y = _polynomial(rest, [1 / math.factorial(n) for n in range(15)])
    whole = times.nan_to_num().long()
    half = whole >> 1
    y = y * _power_of_two(half) * _power_of_two(whole - half)
    y = torch.where(wide > 709.782712893384, math.inf, y)
    return torch.where(wide.isnan(), wide, y).to(x.dtype)


def log(x: Tensor) -> Tensor:
    """The natural logarithm of x, in x's type."""
    return _log(x.to(torch.float64)).to(x.dtype)


def log10(x: Tensor) -> Tensor:
    """The logarithm to base 10, in x's type."""
    return (_log(x.to(torch.float64)) * LOG10_E).to(x.dtype)


def log1p(x: Tensor) -> Tensor:
    """log(1 + x), in x's type, exact for small x."""
    wide = x.to(torch.float64)
    above = 1 + wide
    lost = above - 1  # Kahan: what the sum kept of x
    scaled = _log(above) * (wide / torch.where(lost == 0, 1.0, lost))
    return torch.where(lost == 0, wide, torch.where(above.isinf(), above, scaled)).to(x.dtype)


def expm1(x: Tensor) -> Tensor:
    """exp(x) - 1, in x's type; near 0 by the series."""
    wide = x.to(torch.float64)
    near = wide * _polynomial(wide.clamp(-0.35, 0.35), [1 / math.factorial(n + 1) for n in range(15)])
    return torch.where(wide.abs() < 0.35, near, exp(wide) - 1).to(x.dtype)


def power(base: Tensor, exponent: Tensor) -> Tensor:
    """base, above 0, to the power of the exponent, by exp and log, in the types' common one."""
    y = exp(exponent.to(torch.float64) * _log(base.to(torch.float64)))
    return y.to(torch.result_type(base, exponent))


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), in x's type."""
    return (1 / (1 + exp(-x.to(torch.float64)))).to(x.dtype)


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent, in x's type."""
    grown = expm1(2 * x.to(torch.float64).clamp(-20, 20))
    return (grown / (grown + 2)).to(x.dtype)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), in x's type."""
    wide = x.to(torch.float64)
    return (wide.clamp(min=0) + log1p(exp(-wide.abs()))).to(x.dtype)


def sin(x: Tensor) -> Tensor:
    """The sine of x radians, in x's type; ValueError beyond 2^20."""
    return _turned(x, 0)


def cos(x: Tensor) -> Tensor:
    """The cosine of x radians, in x's type; ValueError beyond 2^20."""
    return _turned(x, 1)


def erf(x: Tensor) -> Tensor:
    """The error function, in x's type: 2 / sqrt(pi) exp(-x^2) times a series of positive terms."""
    wide = x.to(torch.float64)
    bounded = wide.clamp(-6.0, 6.0)
    square = bounded * bounded
    series = torch.ones_like(square)
    for n in range(120, 0, -1):
        series = series * square * (2 / (2 * n + 1)) + 1
    return (TWO_BY_ROOT_PI * exp(-square) * (bounded * series)).clamp(-1, 1).to(x.dtype)


def root(x: Tensor) -> Tensor:
    """The square root, rounded once, in x's type.

    NumPy's, which is the processor's own: torch takes MKL's, which is not rounded correctly in 1 of 170 float32 cases.
    """
    return torch.from_numpy(np.asarray(np.sqrt(x.detach().numpy())))


def _polynomial(x: Tensor, coefficients: list[float]) -> Tensor:
    """Horner's scheme, each product and sum rounded; the coefficient of x^0 comes first."""
    y = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        y = y * x + coefficient
    return y


def _power_of_two(n: Tensor) -> Tensor:
    """2^n, float64, n int64 within the exponents of float64."""
    return ((n + BIAS) << MANTISSA_BITS).view(torch.float64)


def _log(x: Tensor) -> Tensor:
    tiny = x < 2.0**-1022
    scaled = torch.where(tiny, x * 2.0**54, x)
    bits = scaled.contiguous().view(torch.int64)
    exponent = ((bits >> MANTISSA_BITS) & 0x7FF) - BIAS
    mantissa = ((bits & ((1 << MANTISSA_BITS) - 1)) | (BIAS << MANTISSA_BITS)).view(torch.float64)  # 1 to 2
    high = mantissa > 1.4142135623730951
    mantissa = torch.where(high, mantissa * 0.5, mantissa)
    whole = (exponent + high.long() - 54 * tiny.long()).to(torch.float64)
    s = (mantissa - 1) / (mantissa + 1)  # within 0.18 of 0; log m = 2 atanh s
    z = s * s
    y = whole * LN2[0] + (whole * LN2[1] + 2 * s * _polynomial(z, [1 / (2 * n + 1) for n in range(13)]))
    y = torch.where(x == 0, -math.inf, torch.where(x == math.inf, x, y))
    return torch.where((x < 0) | x.isnan(), math.nan, y)


def _turned(x: Tensor, quarter: int) -> Tensor:
    """The sine of x and so many quarter turns."""
    wide = x.to(torch.float64)
    if bool((wide.abs() > LARGEST_ANGLE).any()):
        raise ValueError(f"an angle of more than {LARGEST_ANGLE:,.0f} radians")
    turns = (wide * TWO_BY_PI).round()
    rest = ((wide - turns * HALF_PI[0]) - turns * HALF_PI[1]) - turns * HALF_PI[2]  # within pi / 4 of 0
    square = rest * rest
    signs = [(-1) ** n for n in range(11)]
    sine = rest * _polynomial(square, [s / math.factorial(2 * n + 1) for n, s in enumerate(signs)])
    cosine = _polynomial(square, [s / math.factorial(2 * n) for n, s in enumerate(signs)])
    place = (turns.nan_to_num().long() + quarter) & 3
    y = torch.where(place % 2 == 0, sine, cosine)
    return torch.where(place >= 2, -y, y).to(x.dtype)
