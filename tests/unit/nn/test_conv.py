"""Depthwise convolution against its sum, and the convolution module around it."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch.nn import functional as F

from asr_lab.nn.conv import ConvModule, DepthwiseConv
from asr_lab.streaming import WHOLE, Context, Frames, cut, run_whole, scan

Sees = Literal["past", "chunk", "utterance"]
EACH: list[Sees] = ["past", "chunk", "utterance"]


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
    pad = (kernel - 1, 0) if module.sees == "past" else (kernel // 2, kernel // 2)
    h = F.pad(F.glu(module.gate(x), -1).transpose(1, 2), pad)
    h = F.conv1d(h, module.depthwise.weight[:, None], module.depthwise.bias, groups=module.dim).transpose(1, 2)
    out: torch.Tensor = module.out(F.silu(module.norm(h)))
    return out


@pytest.mark.parametrize("sees", EACH)
def test_the_module_is_gate_convolution_norm_and_projection(sees: Sees) -> None:
    module = ConvModule(8, 5, sees, dropout=0.0).double()
    x = torch.randn(2, 12, 8, dtype=torch.float64)
    torch.testing.assert_close(run_whole(module, Frames.whole(x), WHOLE).x, explicit(module, x))


@pytest.mark.parametrize("sees", EACH)
def test_padding_changes_no_frame(sees: Sees) -> None:
    module = ConvModule(8, 5, sees, dropout=0.0).double()
    x = torch.randn(2, 12, 8, dtype=torch.float64)
    padded = x.clone()
    padded[1, 7:] = torch.nan
    found = run_whole(module, Frames.whole(padded, torch.tensor([12, 7])), WHOLE).x
    torch.testing.assert_close(found[1, :7], explicit(module, x[1:, :7])[0])


def test_cut_frame_by_frame_it_gives_the_same() -> None:
    module = ConvModule(8, 5, "past", dropout=0.0).double()
    frames = Frames.whole(torch.randn(2, 12, 8, dtype=torch.float64), torch.tensor([12, 3]))
    pieces = scan(module, cut(frames, [torch.tensor([1, 0])] * 11 + [torch.tensor([1, 3])]), Context(1, 0))
    torch.testing.assert_close(pieces.x[frames.mask()], run_whole(module, frames, WHOLE).x[frames.mask()])


def test_a_centred_kernel_needs_the_whole_utterance_and_an_odd_number_of_frames() -> None:
    assert ConvModule(8, 5, "utterance", dropout=0.0).hop_frames(Context(4, 4)) is None
    with pytest.raises(ValueError, match="odd number of frames, not 4"):
        ConvModule(8, 4, "utterance", dropout=0.0)
    with pytest.raises(ValueError, match="odd number of frames, not 4"):
        ConvModule(8, 4, "chunk", dropout=0.0)


def frame_by_frame(module: ConvModule, x: torch.Tensor, chunk_frames: int) -> torch.Tensor:
    """The module on one row (T, D), each frame's kernel written out; frames behind its chunk's end are left out."""
    h = F.glu(module.gate(x), -1)
    weight, side = module.depthwise.weight, module.depthwise.kernel_frames // 2
    rows = []
    for t in range(len(x)):
        end = min(len(x), (t // chunk_frames + 1) * chunk_frames)
        seen = range(max(0, t - side), min(end, t + side + 1))
        rows.append(sum((weight[:, s - t + side] * h[s] for s in seen), module.depthwise.bias))
    out: torch.Tensor = module.out(F.silu(module.norm(torch.stack(rows))))
    return out


@pytest.mark.parametrize("kernel_frames", [1, 3, 9])
@pytest.mark.parametrize("chunk_frames", [1, 2, 4, 7, 40])
def test_a_frame_sees_ahead_to_the_end_of_its_chunk_and_no_further(kernel_frames: int, chunk_frames: int) -> None:
    torch.manual_seed(chunk_frames)
    module = ConvModule(6, kernel_frames, "chunk", dropout=0.0).double()
    x = torch.randn(2, 23, 6, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([23, 10])
    frames = Frames.whole(x, lengths)
    mask = frames.mask()
    found = run_whole(module, frames, Context(chunk_frames, 0)).x[mask]
    expected = torch.cat([frame_by_frame(module, x[i, :n], chunk_frames) for i, n in enumerate(lengths.tolist())])
    torch.testing.assert_close(found, expected)
    leaves, grad = [x, *module.parameters()], torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, leaves, grad), torch.autograd.grad(expected, leaves, grad), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_in_a_whole_context_seeing_ahead_in_the_chunk_is_the_plain_centred_kernel() -> None:
    chunked, centred = ConvModule(8, 5, "chunk", 0.0), ConvModule(8, 5, "utterance", 0.0)
    chunked.load_state_dict(centred.state_dict())
    frames = Frames.whole(torch.randn(2, 12, 8), torch.tensor([12, 5]))
    mask = frames.mask()
    assert torch.equal(run_whole(chunked, frames, WHOLE).x[mask], run_whole(centred, frames, WHOLE).x[mask])
    assert chunked.hop_frames(WHOLE) is None
    assert chunked.hop_frames(Context(3, 4)) == 3


@pytest.mark.parametrize("steps", [[3] * 8, [6, 0, 3, 15], [24]], ids=str)
def test_seeing_ahead_within_chunks_any_cut_gives_the_same_frames(steps: list[int]) -> None:
    module = ConvModule(8, 9, "chunk", dropout=0.0).double()
    context = Context(3, 0)
    frames = Frames.whole(torch.randn(3, 23, 8, dtype=torch.float64), torch.tensor([23, 0, 7]))
    pieces = scan(module, cut(frames, [torch.tensor([n, 0, n]) for n in steps]), context)
    whole = run_whole(module, frames, context)
    torch.testing.assert_close(pieces.x[frames.mask()], whole.x[frames.mask()], rtol=0, atol=1e-12)
