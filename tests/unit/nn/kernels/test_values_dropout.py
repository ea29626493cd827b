"""Dropout's values to the bit, what its rate is rounded to, and the odds and ends that layers are made with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_lab.nn.kernels.dropout import dropout, keep

CPU = torch.device("cpu")


def test_a_seed_drops_the_same_places_for_ever() -> None:
    torch.manual_seed(1234)
    kept = keep((4, 9), 0.5, torch.float32, CPU)
    rows = ["".join("x" if value else "." for value in row) for row in kept.tolist()]
    assert rows == ["xx.x.xxx.", "xxx.x...x", "..xx..x..", "xxx.x.x.."]


@pytest.mark.parametrize(("rate", "cut"), [(0.1, 6554), (0.25, 16384), (0.5, 32768), (0.9, 58982)])
def test_each_16_bits_of_the_generator_are_one_values_draw(rate: float, cut: int) -> None:
    torch.manual_seed(5)
    kept = keep((7, 11), rate, torch.float64, CPU)
    torch.manual_seed(5)
    raw = np.random.SFC64(int(torch.randint(1 << 62, ()))).random_raw(20).view(np.int16)[:77]
    # The lowest `cut` of the 65,536 numbers of 16 bits are dropped; the others make up for them.
    expected = [0.0 if int(draw) + 32768 < cut else 65536 / (65536 - cut) for draw in raw]
    assert kept.flatten().tolist() == expected
    assert kept.shape == (7, 11)


def test_a_rate_too_small_to_be_one_of_65536_is_left_to_torch() -> None:
    torch.manual_seed(5)
    found = keep((9,), 7e-6, torch.float32, CPU)
    torch.manual_seed(5)
    assert torch.equal(found, torch.nn.functional.dropout(torch.ones(9), 7e-6))
    torch.manual_seed(5)
    assert set(keep((1 << 18,), 8e-6, torch.float64, CPU).tolist()) == {0.0, 65536 / 65535}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_is_made_in_the_type_that_is_asked_for(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    kept = keep((64,), 0.5, dtype, CPU)
    assert kept.dtype == dtype
    assert set(kept.tolist()) == {0.0, 2.0}
    assert dropout(torch.ones(64, dtype=dtype), 0.5, training=True).dtype == dtype


def test_no_size_is_too_odd() -> None:
    for shape in [(n,) for n in range(10)] + [(2, 0, 3), ()]:
        assert keep(shape, 0.5, torch.float32, CPU).shape == shape
