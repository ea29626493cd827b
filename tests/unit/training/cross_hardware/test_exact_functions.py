"""Functions made of additions and products: their values against the C library's."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_lab.training.cross_hardware import exact_functions as functions

DRAWS = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
TABLE: tuple[tuple[str, Callable[[float], float], Tensor], ...] = (
    ("exp", math.exp, DRAWS * 80),
    ("log", math.log, 10 ** (DRAWS * 30)),
    ("log10", math.log10, 10 ** (DRAWS * 30)),
    ("log1p", math.log1p, DRAWS * 0.99),
    ("expm1", math.expm1, DRAWS * 20),
    ("sin", math.sin, DRAWS * 50_000),
    ("cos", math.cos, DRAWS * 50_000),
    ("tanh", math.tanh, DRAWS * 10),
    ("erf", math.erf, DRAWS * 7),
    ("sigmoid", lambda x: 1 / (1 + math.exp(-x)), DRAWS * 80),
    ("softplus", lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))), DRAWS * 80),
)


@pytest.mark.parametrize(("name", "reference", "x"), TABLE, ids=[row[0] for row in TABLE])
def test_values_are_the_librarys(name: str, reference: Callable[[float], float], x: Tensor) -> None:
    expected = torch.tensor([reference(value) for value in x.tolist()], dtype=torch.float64)
    found = getattr(functions, name)(x)
    assert float(((found - expected) / expected).abs().max()) < 2e-15


@pytest.mark.parametrize("name", ["exp", "log"])
def test_float32_exp_and_log_are_repdls_evaluated_in_double_and_rounded_once(name: str) -> None:
    bits = torch.randint(0, 0x7F800000, (50_000,), generator=torch.Generator().manual_seed(1), dtype=torch.int32)
    x = bits.view(torch.float32)
    x = x if name == "log" else torch.cat([x[x < 88], -x[x < 110]])
    expected = [np.float32(getattr(math, name)(value)) if value else -math.inf for value in x.tolist()]
    if name == "exp":
        expected = [np.float32(math.exp(value)) for value in x.tolist()]
    assert torch.equal(getattr(functions, name)(x), torch.tensor(np.array(expected, dtype=np.float32)))


def test_ends_and_what_is_no_number() -> None:
    x = torch.tensor([math.inf, -math.inf, math.nan, 1000.0, -1000.0])
    assert functions.exp(x).tolist()[:2] == [math.inf, 0.0]
    assert functions.exp(x)[2].isnan()
    assert functions.exp(x).tolist()[3:] == [math.inf, 0.0]
    assert functions.log(torch.tensor([0.0, math.inf])).tolist() == [-math.inf, math.inf]
    assert functions.log(torch.tensor([-1.0, math.nan])).isnan().all()
    assert functions.log1p(torch.tensor([1e-30, -1.0])).tolist() == [float(np.float32(1e-30)), -math.inf]
    with pytest.raises(ValueError, match="more than 1,048,576 radians"):
        functions.sin(torch.tensor([2e6]))
