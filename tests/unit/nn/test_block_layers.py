"""Macaron, transformer and residual blocks are the sums that they are named after."""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional as F

from asr_lab.nn.attention import Attention
from asr_lab.nn.blocks import Macaron, Norm, Residual, Transformer
from asr_lab.nn.conv import ConvModule
from asr_lab.nn.feed_forward import FeedForward
from asr_lab.nn.mamba2 import Mamba2
from asr_lab.streaming import WHOLE, Context, Frames, run_whole


def frames() -> Frames:
    torch.manual_seed(3)
    return Frames.whole(torch.randn(2, 11, 8, dtype=torch.float64))


def macaron(sees: Literal["past", "chunk", "utterance"] = "past") -> Macaron:
    conv = ConvModule(8, 5, sees, dropout=0.0)
    return Macaron(8, Attention(8, 2, "relative", 0.0), conv, 32, dropout=0.0).double()


def test_macaron_adds_half_mixer_convolution_half_and_normalises() -> None:
    block, given = macaron(), frames()
    x = given.x
    x = x + 0.5 * block.first(block.norm_first(x))
    x = x + run_whole(block.mixer, Frames.whole(block.norm_mixer(x)), WHOLE).x
    x = x + run_whole(block.conv, Frames.whole(block.norm_conv(x)), WHOLE).x
    x = x + 0.5 * block.second(block.norm_second(x))
    torch.testing.assert_close(run_whole(block, given, WHOLE).x, block.norm(x))


def test_transformer_adds_mixer_and_feed_forward() -> None:
    block, given = Transformer(8, Attention(8, 2, "none", 0.0), 32, dropout=0.0).double(), frames()
    x = given.x + run_whole(block.mixer, Frames.whole(block.norm_mixer(given.x)), WHOLE).x
    expected = x + block.feed_forward(block.norm_feed_forward(x))
    torch.testing.assert_close(run_whole(block, given, WHOLE).x, expected)


def test_residual_adds_the_mixer_alone() -> None:
    block, given = Residual(8, Attention(8, 2, "none", 0.0)).double(), frames()
    expected = given.x + run_whole(block.mixer, Frames.whole(block.norm(given.x)), WHOLE).x
    torch.testing.assert_close(run_whole(block, given, WHOLE).x, expected)


def test_norm_normalises_each_frame() -> None:
    out = run_whole(Norm(8).double(), frames(), WHOLE).x
    torch.testing.assert_close(out, F.layer_norm(frames().x, (8,)))


def test_a_macaron_with_a_centred_convolution_does_not_stream() -> None:
    assert macaron("utterance").hop_frames(Context(4, 8)) is None
    assert macaron("past").hop_frames(Context(4, 8)) == 4


def test_a_macaron_takes_a_step_that_both_its_mixer_and_its_convolution_take() -> None:
    mamba = Mamba2(8, state_dim=4, head_dim=8, expand=1, conv_width=2, dropout=0.0)
    hops = [
        Macaron(8, mamba, ConvModule(8, 5, sees, 0.0), 32, dropout=0.0).hop_frames(Context(4, 8))
        for sees in ("past", "chunk", "utterance")
    ]
    assert hops == [1, 4, None]


def test_no_random_number_is_drawn_at_rate_zero() -> None:
    block = Macaron(8, Attention(8, 2, "relative", 0.0), ConvModule(8, 5, "past", 0.0), 32, dropout=0.0).double()
    given = frames()
    before = torch.get_rng_state()
    run_whole(block, given, WHOLE)
    assert torch.equal(before, torch.get_rng_state())


def test_the_feed_forward_widens_bends_and_narrows() -> None:
    layer = FeedForward(4, 12, "gelu", dropout=0.0)
    x = torch.randn(3, 4)
    torch.testing.assert_close(layer(x), layer.down(F.gelu(layer.up(x))))
