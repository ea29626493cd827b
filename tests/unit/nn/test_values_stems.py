"""Stems, number by number, and the blocked convolution in them against torch's."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.nn.kernels import depthwise
from asr_lab.nn.kernels.depthwise import depthwise_of_patches, depthwise_of_relu
from asr_lab.nn.stems import DepthwiseStride, FrameConv, FrameStack, WhisperConv, ceil_div
from asr_lab.streaming import WHOLE, Frames, cut, run_whole, scan


def lively(layer: Any) -> Any:
    torch.manual_seed(8)
    for parameter in layer.double().parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return layer


def convolved(layer: FrameConv, x: Tensor, causal: bool) -> Tensor:
    """Width 3 over one row (T, F), zeros around it, then x times the normal distribution's: frame by frame."""
    rows = []
    for j in range(math.ceil(len(x) / layer.stride)):
        first = layer.stride * j - (2 if causal else 1)
        total = layer.conv.bias
        for k in range(3):
            if 0 <= first + k < len(x):
                total = total + layer.conv.weight[:, :, k] @ x[first + k]
        rows.append(total * torch.distributions.Normal(0, 1).cdf(total))
    return torch.stack(rows)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_frame_conv_sees_three_frames_ending_at_its_own_or_around_it(stride: int, causal: bool) -> None:
    layer = lively(FrameConv(3, 5, stride, causal))
    x, lengths = torch.randn(3, 9, 3).double(), [9, 6, 1]
    frames = Frames.whole(x, torch.tensor(lengths))
    whole = run_whole(layer, frames, WHOLE)
    pieces = scan(layer, cut(frames, [torch.tensor([n, n, n]) for n in (3 if stride == 1 else 4, 2, 4)]), WHOLE)
    for row, length in enumerate(lengths):
        expected = convolved(layer, x[row, :length], causal)
        assert whole.lengths[row] == pieces.lengths[row] == len(expected) == math.ceil(length / stride)
        for out in (whole, pieces):
            torch.testing.assert_close(out.x[row, : len(expected)], expected, rtol=0, atol=1e-12)


def test_whispers_stem_is_a_convolution_of_every_frame_then_of_every_second() -> None:
    layer = lively(WhisperConv(3, 5, causal=False))
    first, second = layer
    assert [(part.stride, part.conv.weight.shape) for part in layer] == [(1, (5, 3, 3)), (2, (5, 5, 3))]
    x = torch.randn(1, 7, 3).double()
    expected = convolved(second, convolved(first, x[0], False), False)
    torch.testing.assert_close(run_whole(layer, Frames.whole(x), WHOLE).x[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", [True, False])
def test_a_frame_stack_multiplies_neighbours_and_norms_where_asked_for(norm: bool) -> None:
    layer = lively(FrameStack(2, 4, 3, norm))
    x = torch.randn(2, 7, 2).double()
    out = run_whole(layer, Frames.whole(x, torch.tensor([7, 4])), WHOLE)
    assert out.lengths.tolist() == [3, 2]
    for row, length in enumerate((7, 4)):
        for j in range(math.ceil(length / 3)):
            side = torch.zeros(3, 2).double()
            side[: min(3, length - 3 * j)] = x[row, 3 * j : min(length, 3 * j + 3)]
            y = layer.linear.weight @ side.flatten() + layer.linear.bias
            if norm:
                y = F.layer_norm(y, (4,), layer.norm.weight, layer.norm.bias, 1e-5)
            torch.testing.assert_close(out.x[row, j], y, rtol=0, atol=1e-12)
    assert layer.initial_state(2, WHOLE) == ()


def strided(layer: DepthwiseStride, x: Tensor) -> Tensor:
    """NeMo's dw_striding on one row (T, F): one 3x3 convolution of stride 2 after the other, frames and mels padded."""
    pad = (1, 1, 2, 1) if layer.reach == 2 else (1, 1, 1, 1)
    channels = layer.first.out_features
    h = F.conv2d(F.pad(x[None, None], pad), layer.first.weight.view(channels, 1, 3, 3), layer.first.bias, 2)
    h = h[:, :, : math.ceil(len(x) / 2)].relu()
    for weight, point in zip(layer.depthwise, layer.pointwise, strict=True):
        frames = math.ceil(h.shape[2] / 2)
        h = F.conv2d(F.pad(h, pad), weight, None, 2, groups=channels)[:, :, :frames]
        h = F.conv2d(h, point.weight[:, :, None, None], point.bias).relu()
    return (h.permute(0, 2, 3, 1).flatten(2) @ layer.out.weight.T + layer.out.bias)[0]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("factor", [4, 8])
def test_rows_of_any_length_in_any_pieces_are_torchs_convolutions(factor: int, causal: bool) -> None:
    layer = lively(DepthwiseStride(9, 6, factor, 5, causal))
    x, lengths = torch.randn(4, 40, 9).double(), [40, 33, 9, 1]
    frames = Frames.whole(x, torch.tensor(lengths))
    whole = run_whole(layer, frames, WHOLE)
    steps = [torch.tensor([n, m, n, n]) for n, m in ((8, 0), (16, 8), (8, 24), (8, 8))]
    pieces = scan(layer, cut(frames, steps), WHOLE)
    for row, length in enumerate(lengths):
        expected = strided(layer, x[row, :length])
        for out in (whole, pieces):
            assert out.lengths[row] == len(expected)
            torch.testing.assert_close(out.x[row, : len(expected)], expected, rtol=0, atol=1e-12)


def test_a_fresh_strided_stem_is_even_within_a_third_and_carries_its_reach_of_features() -> None:
    torch.manual_seed(0)
    layer = DepthwiseStride(16, 12, 8, 4000, causal=True)
    assert len(layer.depthwise) == len(layer.pointwise) == 2
    for weight in layer.depthwise:  # one channel of 3x3: 1 / sqrt(9)
        values = weight.data
        assert -1 / 3 <= float(values.min()) < -0.333
        assert 0.333 < float(values.max()) <= 1 / 3
        assert float(values.std()) == pytest.approx(1 / 3 / math.sqrt(3), rel=0.02)
    assert layer.first.in_features == 9
    for causal, reach in ((True, 2), (False, 1)):
        state = DepthwiseStride(16, 12, 4, 3, causal).initial_state(2, WHOLE)
        assert state.past.tolist() == torch.zeros(2, 3 * reach, 16).tolist()
        assert state.seen.tolist() == [0, 0]


def test_parts_are_rounded_up() -> None:
    assert ceil_div(torch.tensor([0, 1, 3, 4, 5, 8, 9]), 4).tolist() == [0, 1, 1, 1, 2, 2, 3]


def reference(h: Tensor, weight: Tensor) -> Tensor:
    """torch's convolution of stride 2 over (B, N, M, C), mels padded by a zero on either side."""
    return F.conv2d(h.permute(0, 3, 1, 2), weight, None, 2, (0, 1), groups=len(weight)).permute(0, 2, 3, 1)


@pytest.mark.parametrize("values", [1, 60, 1 << 19])
@pytest.mark.parametrize(("frames", "mels"), [(9, 6), (10, 5), (3, 1), (2, 4)])
def test_the_blocked_convolution_and_its_gradients_are_torchs(
    frames: int, mels: int, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(depthwise.BLOCK_VALUES, "cpu", values)
    torch.manual_seed(0)
    patches = torch.randn(3, frames, mels, 4).double().requires_grad_()
    first, weight = torch.randn(4, 2).double().requires_grad_(), torch.randn(2, 1, 3, 3).double().requires_grad_()
    x = torch.randn(3, frames, mels, 2).double().requires_grad_()
    mask = torch.rand(3, frames) < 0.7
    masked = x.relu() * mask[:, :, None, None]
    padded = max(0, 3 - frames)  # torch refuses an image smaller than its kernel
    out_frames = (frames - 1) // 2
    for found, expected, leaves in (
        (depthwise_of_patches(patches, first, weight), (patches @ first).relu(), [patches, first, weight]),
        (depthwise_of_relu(x, mask, weight), masked, [x, weight]),
    ):
        wanted = reference(F.pad(expected, (0, 0, 0, 0, 0, padded)), weight)[:, :out_frames]
        assert found.shape == wanted.shape == (3, out_frames, math.ceil(mels / 2), 2)
        torch.testing.assert_close(found, wanted)
        along = torch.randn_like(wanted)
        for ours, theirs in zip(
            torch.autograd.grad(found, leaves, along), torch.autograd.grad(wanted, leaves, along), strict=True
        ):
            torch.testing.assert_close(ours, theirs)


def test_features_that_need_no_gradient_get_none() -> None:
    patches, first = torch.randn(1, 5, 4, 3).double(), torch.randn(3, 2).double().requires_grad_()
    weight = torch.randn(2, 1, 3, 3).double().requires_grad_()
    found = depthwise_of_patches(patches, first, weight)
    expected = reference((patches @ first).relu(), weight)
    for ours, theirs in zip(
        torch.autograd.grad(found.sum(), [first, weight]),
        torch.autograd.grad(expected.sum(), [first, weight]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
    assert depthwise_of_patches(patches, first.detach(), weight.detach()).requires_grad is False
