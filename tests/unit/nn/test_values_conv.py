"""The convolution module, number by number: what each kind sees, in whole contexts, in chunks and in pieces."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from asr_lab.nn.conv import ConvModule, DepthwiseConv
from asr_lab.nn.kernels.dropout import keep
from asr_lab.streaming import WHOLE, Context, Frames, cut, run_whole, scan

Sees = Literal["past", "chunk", "utterance"]
SEES: list[Sees] = ["past", "chunk", "utterance"]


def module_of(sees: Sees, kernel_frames: int = 5, dropout: float = 0.0) -> ConvModule:
    torch.manual_seed(4)
    module = ConvModule(4, kernel_frames, sees, dropout).double()
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return module.eval()


def naive(module: ConvModule, x: Tensor, sees: Sees, chunk_frames: int | None) -> Tensor:
    """Gulati et al.'s module on one row (T, D), frame by frame, with LayerNorm: gate, kernel, norm, SiLU, out."""
    a, b = (x @ module.gate.weight.T + module.gate.bias).split(4, dim=1)
    gated = a / (1 + (-b).exp())
    weight, bias = module.depthwise.weight, module.depthwise.bias  # (D, kernel), (D,)
    kernel = weight.shape[1]
    rows = []
    for t in range(len(x)):
        first = t - (kernel - 1 if sees == "past" else kernel // 2)
        end = len(x) if sees == "utterance" or chunk_frames is None else (t // chunk_frames + 1) * chunk_frames
        total = bias.clone()
        for k in range(kernel):
            if 0 <= first + k < min(end, len(x)):
                total = total + weight[:, k] * gated[first + k]
        mean = total.mean()
        h = (total - mean) / ((total - mean).square().mean() + 1e-5).sqrt() * module.norm.weight + module.norm.bias
        rows.append(module.out.weight @ (h / (1 + (-h).exp())) + module.out.bias)
    return torch.stack(rows)


@pytest.mark.parametrize("sees", SEES)
@pytest.mark.parametrize("kernel_frames", [1, 3, 7])
@pytest.mark.parametrize("context", [WHOLE, Context(4, 0), Context(3, 5)], ids=str)
def test_each_kind_sees_what_it_says_and_no_frame_more(sees: Sees, kernel_frames: int, context: Context) -> None:
    module = module_of(sees, kernel_frames)
    x = torch.randn(2, 11, 4).double()
    frames = Frames.whole(x, torch.tensor([11, 6]))
    found = run_whole(module, frames, context).x
    for row, length in enumerate((11, 6)):
        expected = naive(module, x[row, :length], sees, context.chunk_frames)
        torch.testing.assert_close(found[row, :length], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sees", ["past", "chunk"])
def test_in_pieces_each_kind_is_the_same_sum(sees: Sees) -> None:
    module = module_of(sees)
    x = torch.randn(1, 11, 4).double()
    pieces = scan(module, cut(Frames.whole(x), [torch.tensor([n]) for n in (3, 6, 3)]), Context(3, 0))
    torch.testing.assert_close(pieces.x[0], naive(module, x[0], sees, 3), rtol=0, atol=1e-12)


def test_an_even_kernel_sees_the_past_only() -> None:
    module = module_of("past", 4)
    x = torch.randn(1, 9, 4).double()
    found = run_whole(module, Frames.whole(x), WHOLE).x[0]
    torch.testing.assert_close(found, naive(module, x[0], "past", None), rtol=0, atol=1e-12)


def test_a_state_is_the_gated_frames_that_the_kernel_will_see_again_and_zeros_at_first() -> None:
    for sees, frames in (("past", 4), ("chunk", 2), ("utterance", 0)):
        module = module_of(sees)
        start = module.initial_state(3, Context(4, 0))
        assert start.past.tolist() == torch.zeros(3, frames, 4).tolist()
        assert module.past_frames == (4 if sees == "past" else 2)
    module = module_of("past")
    x = torch.randn(1, 6, 4).double()
    state, _ = module(module.initial_state(1, WHOLE), Frames.whole(x), WHOLE)
    a, b = (x @ module.gate.weight.T + module.gate.bias).chunk(2, dim=-1)
    torch.testing.assert_close(state.past, (a * b.sigmoid())[:, 2:])


@pytest.mark.parametrize(
    ("sees", "hops"), [("past", (1, 1, 1)), ("chunk", (4, 4, None)), ("utterance", (None, None, None))]
)
def test_each_kind_steps_as_far_as_it_sees(sees: Sees, hops: tuple[int | None, ...]) -> None:
    module = module_of(sees)
    assert tuple(module.hop_frames(context) for context in (Context(4, 8), Context(4, None), WHOLE)) == hops


def test_in_training_it_drops_what_it_gives() -> None:
    module, frames = module_of("past", dropout=0.4), Frames.whole(torch.randn(2, 9, 4).double())
    sound = run_whole(module, frames, WHOLE).x
    torch.manual_seed(3)
    found = run_whole(module.train(), frames, WHOLE).x
    torch.manual_seed(3)
    torch.testing.assert_close(found, sound * keep(sound.shape, 0.4, sound.dtype, sound.device))


@pytest.mark.parametrize("kernel_frames", [1, 4, 9])
def test_fresh_kernels_are_even_between_plus_and_minus_one_over_the_root_of_their_frames(kernel_frames: int) -> None:
    torch.manual_seed(0)
    conv = DepthwiseConv(20_000, kernel_frames)
    bound = 1 / math.sqrt(kernel_frames)  # as torch's own Conv1d of one channel begins
    for values in (conv.weight.data, conv.bias.data):
        assert -bound <= float(values.min()) < -0.999 * bound
        assert 0.999 * bound < float(values.max()) <= bound
        assert float(values.mean()) == pytest.approx(0, abs=0.03 * bound)
        assert float(values.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
