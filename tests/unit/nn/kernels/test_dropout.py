"""Dropout."""

from __future__ import annotations

import pytest
import torch

from asr_lab.nn.kernels.dropout import dropout


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_it_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    y = dropout(torch.ones(1000, 1001), rate, training=True)
    assert float((y == 0).float().mean()) == pytest.approx(rate, abs=2e-3)
    assert float(y.mean()) == pytest.approx(1, abs=2e-3)


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(1)
    dropped = (dropout(torch.ones(1 << 20), 0.3, training=True) == 0).float() - 0.3
    for distance in (1, 2, 3, 4, 64):
        assert abs(float((dropped[distance:] * dropped[:-distance]).mean())) < 2e-3


def test_the_seed_decides_and_the_threads_do_not() -> None:
    threads = torch.get_num_threads()
    found = []
    for number in (1, 2):
        torch.set_num_threads(number)
        torch.manual_seed(7)
        found.append(dropout(torch.ones(3, 50, 77), 0.2, training=True))
    torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], dropout(torch.ones(3, 50, 77), 0.2, training=True))


def test_the_gradient_is_the_mask() -> None:
    x = torch.ones(5, 7, 11, requires_grad=True)
    y = dropout(x, 0.25, training=True)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_nothing_happens_outside_training_or_at_rate_zero() -> None:
    x = torch.randn(4)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x
