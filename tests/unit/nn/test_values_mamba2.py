"""Mamba-2: what it carries, where its parameters begin, what it drops; its sum is in test_mamba2."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from asr_lab.nn.kernels.dropout import keep
from asr_lab.nn.mamba2 import BidirectionalMamba2, Mamba2
from asr_lab.streaming import WHOLE, Context, Frames, run_whole


def layer_of(dropout: float = 0.0) -> Mamba2:
    torch.manual_seed(6)
    return Mamba2(4, state_dim=3, head_dim=2, expand=1, conv_width=3, dropout=dropout).double().eval()


def test_the_state_is_the_recurrences_and_the_convolutions_last_inputs() -> None:
    layer, x = layer_of(), torch.randn(1, 7, 4).double()
    start = layer.initial_state(2, WHOLE)
    assert [(s.shape, s.abs().sum().item()) for s in start] == [((2, 2, 10), 0.0), ((2, 2, 2, 3), 0.0)]
    state, _ = layer(layer.initial_state(1, WHOLE), Frames.whole(x), WHOLE)
    projected = x[0] @ layer.in_proj.weight.T
    xbc, dt = projected[:, 4:14], F.softplus(projected[:, 14:] + layer.dt_bias)
    torch.testing.assert_close(state.past[0], xbc[-2:])
    seen = F.pad(xbc, (0, 0, 2, 0))
    mixed = F.silu(sum(seen[k : k + 7] * layer.conv.weight[:, k] for k in range(3)) + layer.conv.bias)
    ssm = torch.zeros(2, 2, 3).double()
    for t in range(7):
        inputs, b = mixed[t, :4].view(2, 2), mixed[t, 4:7]
        decay = (-dt[t] * layer.A_log.exp()).exp()
        ssm = decay[:, None, None] * ssm + dt[t, :, None, None] * inputs[:, :, None] * b
    torch.testing.assert_close(state.ssm[0], ssm)


def test_an_empty_step_changes_nothing_at_all() -> None:
    layer = layer_of()
    state, none = layer.initial_state(2, WHOLE), torch.zeros(2, dtype=torch.int64)
    empty = Frames(torch.zeros(2, 0, 4).double(), none, none.bool())
    after, out = layer(state, empty, WHOLE)
    assert after is state
    assert out is empty


def test_in_training_it_drops_what_it_gives() -> None:
    layer, frames = layer_of(dropout=0.4), Frames.whole(torch.randn(2, 9, 4).double())
    sound = run_whole(layer, frames, WHOLE).x
    torch.manual_seed(3)
    found = run_whole(layer.train(), frames, WHOLE).x
    torch.manual_seed(3)
    torch.testing.assert_close(found, sound * keep(sound.shape, 0.4, sound.dtype, sound.device))


def test_decays_begin_evenly_between_1_and_16_and_steps_evenly_in_their_logarithm() -> None:
    torch.manual_seed(0)
    # Few inputs and many heads: mamba-ssm draws A from U(1, 16) and dt from exp(U(log 0.001, log 0.1)).
    layer = Mamba2(1, state_dim=1, head_dim=1, expand=20_000, conv_width=4, dropout=0.0)
    for values, low, high in (
        (layer.A_log.data.double().exp(), 1.0, 16.0),
        (F.softplus(layer.dt_bias.data.double()).log(), math.log(1e-3), math.log(1e-1)),
    ):
        span = high - low
        assert low - 1e-3 * span < float(values.min()) < low + 1e-3 * span
        assert high - 1e-3 * span < float(values.max()) < high + 1e-3 * span
        assert float(values.mean()) == pytest.approx((low + high) / 2, abs=0.01 * span)
        assert float(values.std()) == pytest.approx(span / math.sqrt(12), rel=0.02)
    assert bool((layer.D == 1).all())
    assert bool((layer.norm.weight == 1).all())
    assert layer.norm.eps == 1e-5
    assert layer.in_proj.bias is layer.out_proj.bias is None


def test_both_directions_carry_nothing_and_have_settings_of_their_own() -> None:
    layer = BidirectionalMamba2(4, state_dim=3, head_dim=2, expand=2, conv_width=3, dropout=0.25)
    assert layer.initial_state(3, Context(1, 0)) == ()
    for one in (layer.left_to_right, layer.right_to_left):
        assert (one.state_dim, one.head_dim, one.inner_dim, one.num_heads) == (3, 2, 8, 4)
        assert (one.conv.kernel_frames, one.dropout) == (3, 0.25)
    assert not torch.equal(layer.left_to_right.in_proj.weight, layer.right_to_left.in_proj.weight)
