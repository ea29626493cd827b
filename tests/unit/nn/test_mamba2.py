"""Mamba-2 against the published layer, written out frame by frame."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.nn.mamba2 import BidirectionalMamba2, Mamba2
from asr_lab.streaming import WHOLE, Context, Frames, cut, run_whole, scan


def layer_of(dim: int = 16) -> Mamba2:
    torch.manual_seed(2)
    layer = Mamba2(dim, state_dim=5, head_dim=8, expand=2, conv_width=4, dropout=0.0).double()
    layer.norm.weight.data += torch.randn_like(layer.norm.weight) * 0.2
    return layer


def published(layer: Mamba2, u: Tensor) -> Tensor:
    """mamba-ssm's Mamba2 on one row (T, D): step after step, head after head."""
    inner, n, heads, width = layer.inner_dim, layer.state_dim, layer.num_heads, layer.head_dim
    z, xbc, dt = torch.split(layer.in_proj(u), [inner, inner + 2 * n, heads], dim=-1)
    taps = layer.conv.weight.shape[1]
    past = F.pad(xbc, (0, 0, taps - 1, 0))
    xbc = F.silu(sum(past[k : k + len(u)] * layer.conv.weight[:, k] for k in range(taps)) + layer.conv.bias)
    dt = F.softplus(dt + layer.dt_bias)
    state = torch.zeros(heads, width, n, dtype=u.dtype)
    out = []
    for t in range(len(u)):
        x, b, c = torch.split(xbc[t], [inner, n, n])
        x = x.view(heads, width)
        decay = torch.exp(-dt[t] * layer.A_log.exp())
        state = decay[:, None, None] * state + (dt[t, :, None] * x)[..., None] * b
        y = (state @ c + layer.D[:, None] * x).flatten() * F.silu(z[t])
        y = y * torch.rsqrt(y.square().mean() + 1e-5) * layer.norm.weight
        out.append(layer.out_proj(y))
    return torch.stack(out)


def test_it_is_the_published_layer_forward_and_backward() -> None:
    layer = layer_of()
    x = torch.randn(1, 140, 16, dtype=torch.float64, requires_grad=True)
    found, expected = run_whole(layer, Frames.whole(x), WHOLE).x[0], published(layer, x[0])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    grad = torch.randn_like(found)
    leaves = [x, *layer.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(found, leaves, grad), torch.autograd.grad(expected, leaves, grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


def test_parameters_have_mamba_ssms_shapes_and_start_where_its_do() -> None:
    layer = Mamba2(32, state_dim=16, head_dim=16, expand=2, conv_width=4, dropout=0.0)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert shapes == {
        "in_proj.weight": (164, 32),
        "conv.weight": (96, 4),
        "conv.bias": (96,),
        "dt_bias": (4,),
        "A_log": (4,),
        "D": (4,),
        "norm.weight": (64,),
        "out_proj.weight": (32, 64),
    }
    assert (layer.A_log >= 0).all()
    assert (layer.A_log <= math.log(16)).all()
    dt = F.softplus(layer.dt_bias)
    assert (dt >= 0.99e-3).all()
    assert (dt <= 0.101).all()
    assert torch.equal(layer.D, torch.ones(4))


@pytest.mark.parametrize("steps", [[1] * 90, [64, 1, 25], [3, 0, 70, 17]], ids=str)
def test_any_cut_gives_the_same_frames(steps: list[int]) -> None:
    layer = layer_of()
    frames = Frames.whole(torch.randn(3, 90, 16, dtype=torch.float64), torch.tensor([90, 0, 41]))
    rows = [torch.tensor([n, 0, n]) for n in steps]
    pieces = scan(layer, cut(frames, rows), Context(1, 0))
    whole = run_whole(layer, frames, WHOLE)
    torch.testing.assert_close(pieces.x[frames.mask()], whole.x[frames.mask()], rtol=0, atol=1e-11)


def test_an_idle_row_keeps_its_state_bit_for_bit() -> None:
    layer = layer_of().float()
    frames = Frames.whole(torch.randn(2, 9, 16))
    state, _ = layer(layer.initial_state(2, WHOLE), frames, WHOLE)
    x = torch.full((2, 5, 16), torch.nan)
    x[0] = 1.0
    after, _ = layer(state, Frames(x, torch.tensor([5, 0]), torch.zeros(2, dtype=torch.bool)), WHOLE)
    for old, new in zip(state, after, strict=True):
        assert torch.equal(old[1], new[1])
        assert not torch.equal(old[0], new[0])


def test_under_bfloat16_autocast_the_state_stays_float32() -> None:
    layer = layer_of().float()
    frames = Frames.whole(torch.randn(2, 80, 16))
    exact = run_whole(layer, frames, WHOLE).x
    with torch.autocast("cpu", torch.bfloat16):
        state, out = layer(layer.initial_state(2, WHOLE), frames, WHOLE)
    assert state.ssm.dtype == state.past.dtype == torch.float32
    torch.testing.assert_close(out.x.float(), exact, rtol=0.1, atol=0.1)


def test_heads_that_do_not_divide_the_inner_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="heads of 24 do not divide 32"):
        Mamba2(16, state_dim=4, head_dim=24, expand=2, conv_width=4, dropout=0.0)


def both_ways() -> BidirectionalMamba2:
    torch.manual_seed(3)
    return BidirectionalMamba2(16, state_dim=5, head_dim=8, expand=2, conv_width=4, dropout=0.0).double()


def test_both_directions_are_published_layers_and_the_second_reads_from_the_end() -> None:
    layer = both_ways()
    x = torch.randn(3, 60, 16, dtype=torch.float64)
    lengths = torch.tensor([60, 0, 37])
    mask = Frames.whole(x, lengths).mask()
    leaf = torch.where(mask[..., None], x, torch.nan).requires_grad_()
    found = run_whole(layer, Frames.whole(leaf, lengths), WHOLE).x[mask]
    rows = [leaf[i, :n] for i, n in enumerate(lengths.tolist())]
    expected = torch.cat(
        [
            published(layer.left_to_right, row) + published(layer.right_to_left, row.flip(0)).flip(0)
            for row in rows
            if len(row)
        ]
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    leaves, grad = [leaf, *layer.parameters()], torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, leaves, grad), torch.autograd.grad(expected, leaves, grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


def test_with_the_backward_scan_every_frame_sees_the_last_one() -> None:
    layer = both_ways()
    x = torch.randn(1, 30, 16, dtype=torch.float64, requires_grad=True)
    first = run_whole(layer, Frames.whole(x), WHOLE).x[0, 0]
    [gradient] = torch.autograd.grad(first.sum(), [x])
    assert bool((gradient[0].abs().sum(-1) > 0).all())
    assert layer.hop_frames(WHOLE) is layer.hop_frames(Context(4, 8)) is None
