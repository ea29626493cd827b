"""Stems against the same layers written with torch's own convolutions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from asr_lab.nn.kernels import depthwise
from asr_lab.nn.stems import DepthwiseStride, FrameStack, WhisperConv
from asr_lab.streaming import WHOLE, Frames, run_whole


def strided_reference(layer: DepthwiseStride, x: Tensor) -> Tensor:
    """NeMo's dw_striding on one utterance (1, T, F), from the layer's weights."""
    causal = layer.reach == 2
    pad = (1, 1, 2, 1) if causal else (1, 1, 1, 1)  # mels, then frames

    def convolve(h: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        frames = math.ceil(h.shape[2] / 2)
        return F.conv2d(F.pad(h, pad), weight, bias, stride=2, groups=groups)[:, :, :frames]

    channels = layer.first.out_features
    h = convolve(x[:, None], layer.first.weight.view(channels, 1, 3, 3), layer.first.bias, 1).relu()
    for weight, point in zip(layer.depthwise, layer.pointwise, strict=True):
        h = convolve(h, weight, None, channels)
        h = F.conv2d(h, point.weight[:, :, None, None], point.bias).relu()
    return layer.out(h.permute(0, 2, 3, 1).flatten(2))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("factor", [4, 8])
@pytest.mark.parametrize(("frames", "mels"), [(64, 16), (61, 21), (3, 80)])
def test_depthwise_striding_is_torchs_convolutions(causal: bool, factor: int, frames: int, mels: int) -> None:
    torch.manual_seed(0)
    layer = DepthwiseStride(mels, 12, factor, 10, causal).double()
    x = torch.randn(1, frames, mels, dtype=torch.float64, requires_grad=True)
    actual, expected = run_whole(layer, Frames.whole(x), WHOLE).x, strided_reference(layer, x)
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)
    weights = torch.randn_like(expected)
    leaves = [x, *layer.parameters()]
    for a, b in zip(
        torch.autograd.grad((actual * weights).sum(), leaves),
        torch.autograd.grad((expected * weights).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


@pytest.mark.parametrize("values", [1, 700, 5000])
def test_the_size_of_a_block_changes_nothing(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = DepthwiseStride(16, 12, 8, 6, causal=False).double()
    frames = Frames.whole(torch.randn(3, 77, 16, dtype=torch.float64), torch.tensor([77, 40, 9]))

    def run() -> list[Tensor]:
        y = run_whole(layer, frames, WHOLE).valid()
        return [y, *torch.autograd.grad(y.square().sum(), list(layer.parameters()))]

    expected = run()
    monkeypatch.setitem(depthwise.BLOCK_VALUES, "cpu", values)
    for a, b in zip(run(), expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


def test_depthwise_striding_has_the_parameters_of_nemos() -> None:
    layer = DepthwiseStride(80, 256, 8, 256, causal=False)
    c = 256
    nemo = (9 * c + c) + 2 * ((9 * c + c) + (c * c + c)) + (10 * c * c + c)
    assert sum(p.numel() for p in layer.parameters()) == pytest.approx(nemo, rel=0.001)


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_stems_train_under_autocast(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    for layer in (DepthwiseStride(20, 16, 8, 16, True), WhisperConv(20, 16, False), FrameStack(20, 16, 4, True)):
        frames = Frames.whole(torch.randn(2, 40, 20))
        expected = run_whole(layer, frames, WHOLE).x
        with torch.autocast("cpu", dtype=dtype):
            actual = run_whole(layer, frames, WHOLE).x
        torch.testing.assert_close(actual.float(), expected, atol=0.1, rtol=0.1)
        actual.float().square().sum().backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in layer.parameters())


def whisper_reference(layer: WhisperConv, x: Tensor, causal: bool) -> Tensor:
    h = x.transpose(1, 2)
    for part, stride in zip(layer, (1, 2), strict=True):
        h = F.gelu(F.conv1d(F.pad(h, (2, 0) if causal else (1, 1)), part.conv.weight, part.conv.bias, stride))  # type: ignore[attr-defined]
    return h.transpose(1, 2)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("frames", [40, 41, 1, 2])
def test_whisper_conv_is_torchs_convolutions(causal: bool, frames: int) -> None:
    torch.manual_seed(0)
    layer = WhisperConv(8, 12, causal).double()
    x = torch.randn(2, frames, 8, dtype=torch.float64)
    actual = run_whole(layer, Frames.whole(x), WHOLE)
    assert actual.x.shape[1] == math.ceil(frames / 2)
    torch.testing.assert_close(actual.x, whisper_reference(layer, x, causal), atol=1e-12, rtol=0)


def test_whisper_conv_looks_one_frame_ahead_unless_causal() -> None:
    assert WhisperConv(8, 12, causal=False).lookahead_frames == 1
    assert WhisperConv(8, 12, causal=True).lookahead_frames == 0


def test_frame_stack_puts_neighbours_side_by_side() -> None:
    layer = FrameStack(2, 6, 3, norm=False)
    torch.nn.init.eye_(layer.linear.weight)
    torch.nn.init.zeros_(layer.linear.bias)
    x = torch.arange(14.0).view(1, 7, 2)
    out = run_whole(layer, Frames.whole(x), WHOLE)
    assert out.lengths.tolist() == [3]
    assert out.x[0].flatten().tolist() == [*range(14), 0, 0, 0, 0]


def test_stems_give_nothing_for_nothing() -> None:
    for layer in (DepthwiseStride(20, 16, 8, 16, True), WhisperConv(20, 16, False), FrameStack(20, 16, 4, True)):
        out = run_whole(layer, Frames.whole(torch.zeros(2, 0, 20)), WHOLE)
        assert out.x.shape == (2, 0, 16)
        assert out.lengths.tolist() == [0, 0]


def test_stems_have_shapes_without_memory() -> None:
    with torch.device("meta"):
        layers = [DepthwiseStride(80, 64, 8, 256, False), WhisperConv(80, 64, False), FrameStack(80, 64, 4, True)]
        frames = Frames.whole(torch.zeros(1, 1000, 80))
        shapes = [tuple(run_whole(layer, frames, WHOLE).x.shape) for layer in layers]
    assert shapes == [(1, 125, 64), (1, 500, 64), (1, 250, 64)]
