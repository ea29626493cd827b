"""The blocked scan by hand: two frames, whose sums can be written down; and the types that it is computed in."""

from __future__ import annotations

import math

import pytest
import torch

from asr_lab.nn.kernels.ssd import ssd


def test_two_frames_are_what_the_recurrence_says() -> None:
    x = torch.tensor([2.0, 3.0]).view(1, 2, 1, 1).double()
    dt = torch.tensor([0.5, 0.25]).view(1, 2, 1).double()
    a, d = torch.tensor([-2.0]).double(), torch.tensor([10.0]).double()
    b = torch.tensor([1.0, 4.0]).view(1, 2, 1).double()
    c = torch.tensor([7.0, 5.0]).view(1, 2, 1).double()
    first = math.exp(-1.0) * 6 + 0.5 * 2 * 1
    second = math.exp(-0.5) * first + 0.25 * 3 * 4
    y, state = ssd(x, dt, a, d, b, c, torch.tensor(6.0).view(1, 1, 1, 1).double())
    assert y.flatten().tolist() == pytest.approx([7 * first + 20, 5 * second + 30])
    assert state.item() == pytest.approx(second)


def test_it_is_computed_in_the_states_type_whatever_autocast_says() -> None:
    torch.manual_seed(0)
    x, dt, b = torch.randn(1, 60, 2, 3), torch.rand(1, 60, 2), torch.randn(1, 60, 4)
    a, d, state = -torch.rand(2), torch.randn(2), torch.randn(1, 2, 3, 4)
    expected = ssd(x, dt, a, d, b, b.flip(1), state)
    with torch.autocast("cpu", torch.bfloat16):
        found = ssd(x, dt, a, d, b, b.flip(1), state)
    for ours, plain in zip(found, expected, strict=True):
        assert torch.equal(ours, plain)
    half = ssd(x.bfloat16(), dt, a, d, b.bfloat16(), b.flip(1), state)
    assert [t.dtype for t in half] == [torch.float32, torch.float32]
    torch.testing.assert_close(half[0], expected[0], rtol=0, atol=0.5)
