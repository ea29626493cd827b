"""What is lost at the ends of each format's range, against counts made value by value."""

from __future__ import annotations

import pytest
import torch

from asr_lab.nn.low_precision.formats import E2M1, E4M3
from asr_lab.number_formats import Asked
from asr_lab.training.precision.range_loss import _Rounding, operands_of, range_loss, watched


def test_fp16_loses_what_is_too_small_and_too_large() -> None:
    how = operands_of(Asked("fp16"))
    assert how is not None
    x = torch.tensor([[1.0, 1e-9, -1e-9, 7e4, 0.0, 65504.0]])
    assert range_loss(x, how.input) == (2 / 5, 1 / 5)


def test_bf16_has_float32s_range() -> None:
    how = operands_of(Asked("bf16"))
    assert how is not None
    assert range_loss(torch.tensor([[1e-38, 1.0, -3e38]]), how.gradient) == (0.0, 0.0)


def test_fp32_rounds_nothing() -> None:
    assert operands_of(Asked("fp32")) is None


def test_a_row_scaled_by_its_largest_loses_small_values_and_cuts_nothing_off() -> None:
    how = operands_of(Asked("fp8"))
    assert how is not None
    # By a power of two: 448 stays, the least of E4M3 is 2^-9, and half of it goes to 0.
    row = torch.tensor([[448.0, 2.0**-9, 2.0**-11, -(2.0**-12)]])
    assert range_loss(row, how.input) == (2 / 4, 0.0)


@pytest.mark.parametrize("name", ["mxfp8", "mxfp4"])
def test_blocks_of_32_are_scaled_apart(name: str) -> None:
    how = operands_of(Asked(name, emulate=True))
    assert how is not None
    form = E4M3 if name == "mxfp8" else E2M1
    tiny = torch.full((1, 32), 1e-6)
    alone = torch.cat([torch.full((1, 32), form.max), tiny], 1)
    assert range_loss(alone, how.input) == (0.0, 0.0)
    mixed = alone.clone()
    mixed[0, 0], mixed[0, 32] = 1e-6, form.max
    assert range_loss(mixed, how.input) == (32 / 64, 0.0)


def test_what_a_scale_of_the_past_does_not_reach_is_cut_off() -> None:
    how = _Rounding(lambda x: x.clamp(-448.0, 448.0), None, E4M3)
    assert range_loss(torch.tensor([[500.0, -1000.0, 448.0, 1.0]]), how) == (0.0, 2 / 4)


def test_nothing_that_is_computed_changes_and_each_layer_has_its_shares() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    model(x).sum().backward()
    wanted = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    with watched(model, Asked("fp16")) as shares:
        for scale in (1.0, 1e-9):
            (model(x).sum() * scale).backward()
        found = {one.name: one for one in shares()}
    assert sorted(found) == ["0", "2"]
    assert found["2"].gradient.underflow == 0.5  # of the second pass all of it
    assert found["2"].weight.underflow == 0.0
    model.zero_grad()
    model(x).sum().backward()
    for grad, parameter in zip(wanted, model.parameters(), strict=True):
        assert torch.equal(grad, parameter.grad)  # type: ignore[arg-type]
