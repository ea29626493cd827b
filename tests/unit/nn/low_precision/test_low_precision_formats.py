"""Every code of the formats, ties, saturation, NaN and the exponents of scales, as the OCP's documents have them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from asr_lab.nn.low_precision import formats
from asr_lab.nn.low_precision.formats import E2M1, E4M3, E5M2, Format

E2M1_VALUES = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def decoded(code: int, exponent_bits: int, mantissa_bits: int, has_infinity: bool) -> float:
    """The value of a code by the formula of OCP's document."""
    bias = 2 ** (exponent_bits - 1) - 1
    mantissa, exponent = code % 2**mantissa_bits, code >> mantissa_bits & 2**exponent_bits - 1
    sign = -1.0 if code >> exponent_bits + mantissa_bits else 1.0
    top = exponent == 2**exponent_bits - 1
    if top and has_infinity:
        return sign * math.inf if mantissa == 0 else math.nan
    if top and mantissa == 2**mantissa_bits - 1 and exponent_bits + mantissa_bits == 7:
        return math.nan
    if exponent == 0:
        return sign * 2.0 ** (1 - bias) * mantissa / 2**mantissa_bits
    return sign * 2.0 ** (exponent - bias) * (1 + mantissa / 2**mantissa_bits)


def codes(form: Format) -> list[float]:
    if form is E2M1:
        return [decoded(code, 2, 1, has_infinity=False) for code in range(16)]
    bits, infinity = ((4, 3), False) if form is E4M3 else ((5, 2), True)
    return [decoded(code, *bits, has_infinity=infinity) for code in range(256)]


@pytest.mark.parametrize("form", [E4M3, E5M2, E2M1], ids=lambda form: form.name)
def test_every_code_stands_for_itself(form: Format) -> None:
    values = torch.tensor([v for v in codes(form) if math.isfinite(v)])
    assert len(values) == {"E4M3": 254, "E5M2": 248, "E2M1": 16}[form.name]
    assert torch.equal(form.round(values), values)
    assert values.max() == form.max
    assert torch.equal(form.round(values).signbit(), values.signbit())


@pytest.mark.parametrize("form", [E4M3, E5M2, E2M1], ids=lambda form: form.name)
def test_what_lies_between_two_codes_goes_to_the_nearer_and_ties_to_the_even_one(form: Format) -> None:
    values = sorted({v for v in codes(form) if math.isfinite(v) and v >= 0})
    for place, (low, high) in enumerate(itertools.pairwise(values)):
        middle = (low + high) / 2
        x = torch.tensor([low + (high - low) * 0.49, middle, low + (high - low) * 0.51])
        even = low if place % 2 == 0 else high
        assert form.round(x).tolist() == [low, even, high]
        assert form.round(-x).tolist() == [-low, -even, -high]


@pytest.mark.parametrize("form", [E4M3, E5M2, E2M1], ids=lambda form: form.name)
def test_beyond_the_largest_it_saturates_and_nan_stays(form: Format) -> None:
    x = torch.tensor([form.max * 1.01, 1e30, math.inf, -math.inf, math.nan])
    rounded = form.round(x)
    assert rounded[:4].tolist() == [form.max, form.max, form.max, -form.max]
    assert rounded[4].isnan()


def test_four_bits_are_sign_exponent_and_mantissa() -> None:
    values = torch.tensor(codes(E2M1))
    assert formats.e2m1_codes(values).tolist() == list(range(16))
    assert values[:8].tolist() == E2M1_VALUES


def test_stochastic_rounding_takes_the_neighbours_and_is_right_in_the_mean() -> None:
    torch.manual_seed(1)
    for x, neighbours in ((0.2, {0.0, 0.5}), (2.25, {2.0, 3.0}), (-5.0, {-4.0, -6.0}), (1.5, {1.5}), (7.0, {6.0})):
        drawn = formats.round_e2m1_stochastically(torch.full((20000,), x))
        assert set(drawn.tolist()) == neighbours
        spread = max(neighbours) - min(neighbours)
        assert abs(float(drawn.mean()) - max(-6.0, min(6.0, x))) <= 4 * spread / 2 / math.sqrt(20000)


def test_scales_are_the_least_powers_of_two_that_are_not_below() -> None:
    exponents = torch.arange(-126, 127)
    exact = torch.ldexp(torch.ones(len(exponents)), exponents)
    assert torch.equal(formats.e8m0_code(exact), (exponents + 127).int())
    above = torch.nextafter(exact, torch.tensor(math.inf))
    assert torch.equal(formats.e8m0_code(above), (exponents + 128).clamp(max=254).int())
    special = torch.tensor([0.0, 1e-45, math.inf, math.nan, torch.finfo(torch.float32).max])
    assert formats.e8m0_code(special).tolist() == [0, 0, 254, 255, 254]
    assert torch.equal(formats.e8m0_value(formats.e8m0_code(exact)), exact)
    assert formats.e8m0_value(torch.tensor([255])).isnan().all()


def test_the_power_of_two_below_a_number_is_exact() -> None:
    x = torch.tensor([1.0, 1.99, 2.0, 3.0, 0.75, 1e-30])
    assert formats.power_of_two_below(x).tolist() == [1.0, 1.0, 2.0, 2.0, 0.5, 2.0**-100]
