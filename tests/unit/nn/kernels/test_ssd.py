"""The blocked scan against the recurrence, frame by frame, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asr_lab.nn.kernels.ssd import BLOCK_FRAMES, ssd


def recurrence(
    x: Tensor, dt: Tensor, a: Tensor, d: Tensor, b: Tensor, c: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """`S_t = exp(dt_t a) S_(t-1) + dt_t x_t b_t'` and `y_t = S_t c_t + d x_t`, as published."""
    ys = []
    for t in range(x.shape[1]):
        decay = (dt[:, t] * a).exp()[..., None, None]
        state = decay * state + (dt[:, t, :, None] * x[:, t])[..., None] * b[:, t, None, None, :]
        ys.append((state * c[:, t, None, None, :]).sum(-1) + d[:, None] * x[:, t])
    return torch.stack(ys, 1), state


def inputs(frames: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(frames)
    batch, heads, width, n = 2, 3, 4, 5
    dt = torch.rand(batch, frames, heads) * 0.5
    dt[1, frames // 2 :] = 0.0  # padding
    tensors = [
        torch.randn(batch, frames, heads, width),
        dt,
        -torch.rand(heads) * 8,
        torch.randn(heads),
        torch.randn(batch, frames, n),
        torch.randn(batch, frames, n),
        torch.randn(batch, heads, width, n),
    ]
    return [t.to(dtype).requires_grad_() for t in tensors]


LENGTHS = [1, 2, BLOCK_FRAMES - 1, BLOCK_FRAMES, BLOCK_FRAMES + 1, 3 * BLOCK_FRAMES + 7]


@pytest.mark.parametrize("frames", LENGTHS)
def test_blocks_equal_the_recurrence(frames: int) -> None:
    args = inputs(frames)
    for found, expected in zip(ssd(*args), recurrence(*args), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("frames", LENGTHS)
@pytest.mark.parametrize("of", ["both", "outputs", "state"])
def test_gradients_equal_the_recurrences(frames: int, of: str) -> None:
    args = inputs(frames)
    gradients = []
    for function in (ssd, recurrence):
        torch.manual_seed(0)
        y, state = function(*args)
        loss = torch.zeros((), dtype=torch.float64)
        loss = loss + (y * torch.randn_like(y)).sum() * (of != "state")
        loss = loss + (state * torch.randn_like(state)).sum() * (of != "outputs")
        gradients.append(torch.autograd.grad(loss, args))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_float32_is_as_good_as_the_recurrence_in_float32() -> None:
    exact = recurrence(*inputs(200))[0]
    args = inputs(200, torch.float32)
    ours = (ssd(*args)[0] - exact).abs().max()
    theirs = (recurrence(*args)[0] - exact).abs().max()
    assert ours < 10 * theirs + 1e-6


def test_a_decay_too_strong_for_a_number_is_zero_not_nan() -> None:
    args = inputs(100, torch.float32)
    args[1] = (args[1] * 1e4).detach().requires_grad_()
    y, state = ssd(*args)
    gradients = torch.autograd.grad(y.sum() + state.sum(), args)
    assert all(t.isfinite().all() for t in (y, state, *gradients))


def test_frames_with_no_step_leave_the_state_bit_for_bit() -> None:
    args = inputs(70)
    args[1] = torch.zeros_like(args[1])
    assert torch.equal(ssd(*args)[1], args[6])
