"""Blocks from their parts' weights: which norm comes where, what is halved, what is added to what."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.nn.attention import Attention
from asr_lab.nn.blocks import Macaron, Norm, Residual, Transformer, Upsample
from asr_lab.nn.conv import ConvModule
from asr_lab.nn.mamba2 import Mamba2
from asr_lab.streaming import WHOLE, Context, Frames, Streamable, run_whole

DIM = 6


def lively(layer: Streamable[Any]) -> Streamable[Any]:
    torch.manual_seed(7)
    for parameter in layer.double().parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return layer.eval()


def normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Ba et al.'s: mean 0 and variance 1 over a frame's values, with epsilon 1e-5 under the root."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias


def fed(x: Tensor, layer: nn.Module, kind: Literal["silu", "gelu"]) -> Tensor:
    up: Any = layer.up
    down: Any = layer.down
    bent = {"silu": lambda h: h * h.sigmoid(), "gelu": lambda h: h * torch.distributions.Normal(0, 1).cdf(h)}[kind]
    out: Tensor = bent(x @ up.weight.T + up.bias) @ down.weight.T + down.bias
    return out


def quiet() -> Tensor:
    """Frames of which one is so quiet that a norm's epsilon counts."""
    x = torch.randn(1, 7, DIM, dtype=torch.float64)
    x[0, 3] *= 1e-3
    return x


def test_a_macaron_is_two_half_steps_around_mixer_and_convolution_and_a_norm() -> None:
    block = lively(Macaron(DIM, Attention(DIM, 2, "none", 0.0), ConvModule(DIM, 3, "past", 0.0), 10, dropout=0.0))
    x = given = quiet()
    x = x + fed(normed(x, block.norm_first), block.first, "silu") / 2
    x = x + run_whole(block.mixer, Frames.whole(normed(x, block.norm_mixer)), WHOLE).x
    x = x + run_whole(block.conv, Frames.whole(normed(x, block.norm_conv)), WHOLE).x
    x = x + fed(normed(x, block.norm_second), block.second, "silu") / 2
    found = run_whole(block, Frames.whole(given), WHOLE).x
    torch.testing.assert_close(found, normed(x, block.norm), rtol=0, atol=1e-12)


def test_a_transformer_norms_what_each_part_reads_and_not_what_leaves() -> None:
    block = lively(Transformer(DIM, Attention(DIM, 2, "none", 0.0), 10, dropout=0.0))
    x = given = quiet()
    x = x + run_whole(block.mixer, Frames.whole(normed(x, block.norm_mixer)), WHOLE).x
    x = x + fed(normed(x, block.norm_feed_forward), block.feed_forward, "gelu")
    torch.testing.assert_close(run_whole(block, Frames.whole(given), WHOLE).x, x, rtol=0, atol=1e-12)


def test_a_residual_norms_what_its_mixer_reads() -> None:
    block = lively(Residual(DIM, Mamba2(DIM, 2, 3, 1, 2, 0.0)))
    x = quiet()
    expected = x + run_whole(block.mixer, Frames.whole(normed(x, block.norm)), WHOLE).x
    torch.testing.assert_close(run_whole(block, Frames.whole(x), WHOLE).x, expected, rtol=0, atol=1e-12)


def test_a_norm_norms() -> None:
    block = lively(Norm(DIM))
    x = quiet()
    torch.testing.assert_close(run_whole(block, Frames.whole(x), WHOLE).x, normed(x, block.norm), rtol=0, atol=1e-12)
    torch.testing.assert_close(normed(x, block.norm), F.layer_norm(x, (DIM,), block.norm.weight, block.norm.bias))
    assert block.initial_state(2, WHOLE) == ()


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_each_frame_becomes_as_many_as_the_factor_says_itself_added_to_each(factor: int) -> None:
    block = lively(Upsample(DIM, factor))
    x = torch.randn(2, 4, DIM, dtype=torch.float64)
    out = run_whole(block, Frames.whole(x, torch.tensor([4, 2])), WHOLE)
    assert block.ratio == Fraction(factor)
    assert block.initial_state(2, WHOLE) == ()
    assert out.lengths.tolist() == [4 * factor, 2 * factor]
    assert out.x.shape == (2, 4 * factor, DIM)
    for row, length in enumerate((4, 2)):
        for t in range(length):
            for place in range(factor):
                part = slice(place * DIM, (place + 1) * DIM)
                expected = x[row, t] + block.linear.weight[part] @ x[row, t] + block.linear.bias[part]
                torch.testing.assert_close(out.x[row, t * factor + place], expected)


def test_blocks_carry_what_their_parts_carry_and_step_as_these_do() -> None:
    context = Context(4, 8)
    mixer, conv = Attention(DIM, 2, "none", 0.0), ConvModule(DIM, 3, "past", 0.0)
    macaron, transformer, residual = (
        Macaron(DIM, mixer, conv, 8, 0.0),
        Transformer(DIM, mixer, 8, 0.0),
        Residual(DIM, mixer),
    )
    assert macaron.initial_state(3, context).mixer.keys.shape == (3, 2, 8, 3)
    assert macaron.initial_state(3, context).conv.past.shape == (3, 2, DIM)
    for block in (transformer, residual):
        assert block.initial_state(3, context).keys.shape == (3, 2, 8, 3)
        assert block.hop_frames(context) == 4
        assert block.hop_frames(WHOLE) is None
