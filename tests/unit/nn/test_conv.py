"""Depthwise convolution against its sum, and the convolution module around it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from asr_lab.nn.conv import ConvModule, DepthwiseConv
from asr_lab.streaming import WHOLE, Context, Frames, cut, run_whole, scan


@pytest.mark.parametrize("kernel_frames", [1, 4, 9])
def test_each_channel_is_its_own_weighted_sum(kernel_frames: int) -> None:
    conv = DepthwiseConv(6, kernel_frames).double()
    x = torch.randn(2, kernel_frames - 1 + 7, 6, dtype=torch.float64, requires_grad=True)
    expected = sum(x[:, k : k + 7] * conv.weight[:, k] for k in range(kernel_frames)) + conv.bias
    found = conv(x)
    torch.testing.assert_close(found, expected)
    inputs = [x, conv.weight, conv.bias]
    grad = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, grad), torch.autograd.grad(expected, inputs, grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_the_output_lies_in_memory_as_the_next_layer_reads_it() -> None:
    assert DepthwiseConv(8, 9)(torch.randn(2, 20, 8)).is_contiguous()


def explicit(module: ConvModule, x: torch.Tensor) -> torch.Tensor:
    kernel = module.depthwise.kernel_frames
    pad = (kernel - 1, 0) if module.causal else (kernel // 2, kernel // 2)
    h = F.pad(F.glu(module.gate(x), -1).transpose(1, 2), pad)
    h = F.conv1d(h, module.depthwise.weight[:, None], module.depthwise.bias, groups=module.dim).transpose(1, 2)
    out: torch.Tensor = module.out(F.silu(module.norm(h)))
    return out


@pytest.mark.parametrize("causal", [True, False])
def test_the_module_is_gate_convolution_norm_and_projection(causal: bool) -> None:
    module = ConvModule(8, 5, causal, dropout=0.0).double()
    x = torch.randn(2, 12, 8, dtype=torch.float64)
    torch.testing.assert_close(run_whole(module, Frames.whole(x), WHOLE).x, explicit(module, x))


@pytest.mark.parametrize("causal", [True, False])
def test_padding_changes_no_frame(causal: bool) -> None:
    module = ConvModule(8, 5, causal, dropout=0.0).double()
    x = torch.randn(2, 12, 8, dtype=torch.float64)
    padded = x.clone()
    padded[1, 7:] = torch.nan
    found = run_whole(module, Frames.whole(padded, torch.tensor([12, 7])), WHOLE).x
    torch.testing.assert_close(found[1, :7], explicit(module, x[1:, :7])[0])


def test_cut_frame_by_frame_it_gives_the_same() -> None:
    module = ConvModule(8, 5, True, dropout=0.0).double()
    frames = Frames.whole(torch.randn(2, 12, 8, dtype=torch.float64), torch.tensor([12, 3]))
    pieces = scan(module, cut(frames, [torch.tensor([1, 0])] * 11 + [torch.tensor([1, 3])]), Context(1, 0))
    torch.testing.assert_close(pieces.x[frames.mask()], run_whole(module, frames, WHOLE).x[frames.mask()])


def test_a_centred_kernel_needs_the_whole_utterance_and_an_odd_number_of_frames() -> None:
    assert ConvModule(8, 5, False, dropout=0.0).hop_frames(Context(4, 4)) is None
    with pytest.raises(ValueError, match="odd number of frames, not 4"):
        ConvModule(8, 4, False, dropout=0.0)
