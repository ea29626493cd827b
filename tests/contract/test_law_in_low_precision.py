"""The streaming law where products are rounded: frame by frame it holds, and the formats that mix frames are named.

In float64: in float32 the last bit of a sum flips a rounding now and then. Exempt by name are tensorwise and delayed
fp8, nvfp4, and the weight gradients of every format, whose rows and blocks run over frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
import law
import pytest
import torch
from cases import cases, pairs
from law import Case
from torch import nn

from asr_lab.nn.low_precision import schemes
from asr_lab.nn.low_precision.emulated import Emulated
from asr_lab.nn.low_precision.formats import E2M1, E4M3
from asr_lab.nn.low_precision.linear import LowPrecisionLinear, Region
from asr_lab.number_formats import Asked, mixes_rows
from asr_lab.streaming import Context

BY_FRAME: dict[str, tuple[Asked, Callable[[], schemes.Scheme]]] = {
    "rowwise fp8": (Asked("fp8"), schemes.Rowwise),
    "mxfp8": (Asked("mxfp8"), lambda: schemes.Microscaling(E4M3)),
    "mxfp4": (Asked("mxfp4"), lambda: schemes.Microscaling(E2M1)),
}
EXEMPT: dict[str, tuple[Asked, Callable[[], schemes.Scheme]]] = {
    "tensorwise fp8": (Asked("fp8", scaling="tensorwise"), schemes.Tensorwise),
    "delayed fp8": (Asked("fp8", scaling="delayed"), lambda: schemes.Delayed(4)),
    "nvfp4": (Asked("nvfp4"), schemes.NVFP4),
}
"""They have a scale of the whole tensor: a frame's rounding depends on the others, so they are not streamed in."""


def rounded(case: Case, scheme: Callable[[], schemes.Scheme]) -> Case:
    """The case with every linear layer that tiles converted, always inside its region."""

    def build() -> nn.Module:
        region, layer, made = Region(), case.build(), scheme()
        region.is_entered = True
        for name, linear in list(layer.named_modules()):
            if isinstance(linear, nn.Linear) and not (
                linear.in_features % made.tile or linear.out_features % made.tile
            ):
                parent, _, own = name.rpartition(".")
                setattr(layer.get_submodule(parent), own, LowPrecisionLinear(linear, Emulated(scheme()), region))
        return layer

    return attrs.evolve(case, build=build)


def blocks() -> Iterator[tuple[Case, Context]]:
    for case in cases():
        if case.name.startswith("blocks/") and any(
            isinstance(m, nn.Linear) for m in case.layer(torch.float32).modules()
        ):
            yield from list(pairs(case, streaming=True))[:2]


BLOCKS = list(blocks())


@pytest.mark.parametrize("name", BY_FRAME)
@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=[f"{c.name}-{x.chunk_frames}" for c, x in BLOCKS])
def test_any_cut_gives_the_same_frames_when_each_frame_is_rounded_alone(number: int, name: str) -> None:
    block, context = BLOCKS[number]
    law.check_cuts(rounded(block, BY_FRAME[name][1]), context, torch.float64, seed=1)


@pytest.mark.parametrize("name", EXEMPT)
def test_what_is_exempt_breaks_the_law_and_is_known_to(name: str) -> None:
    asked, scheme = EXEMPT[name]
    assert mixes_rows(asked)
    block, context = next(pair for pair in BLOCKS if pair[0].name.startswith("blocks/transformer"))
    with pytest.raises(AssertionError, match="streamed against whole: differs by"):
        law.check_cuts(rounded(block, scheme), context, torch.float64, seed=1)


def test_the_formats_that_hold_the_law_are_those_that_round_each_frame_alone() -> None:
    assert not any(mixes_rows(asked) for asked, _ in BY_FRAME.values())


def gradients(scheme: Callable[[], schemes.Scheme], cuts: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of an input of 64 frames in pieces of so many, (64, 32), and of the weight, summed over the pieces, (64, 32)."""
    torch.manual_seed(6)
    x, g = (torch.randn(64, width, dtype=torch.float64) for width in (32, 64))
    x[:20] *= 1e-5  # what is so quiet loses bits where it shares a scale with loud frames
    x.requires_grad_()
    weight = torch.randn(64, 32, dtype=torch.float64).requires_grad_()
    product = Emulated(scheme())
    for piece, upstream in zip(x.split(cuts), g.split(cuts), strict=True):
        product(piece, weight).backward(upstream)
    assert x.grad is not None
    assert weight.grad is not None
    return x.grad, weight.grad


@pytest.mark.parametrize("name", [*BY_FRAME, *EXEMPT])
def test_weight_gradients_are_exempt_in_every_format_and_input_gradients_in_those_that_mix(name: str) -> None:
    scheme = (BY_FRAME | EXEMPT)[name][1]
    (whole_x, whole_weight), (cut_x, cut_weight) = gradients(scheme, [64]), gradients(scheme, [20, 44])
    assert (cut_weight - whole_weight).abs().max() > 100 * law.TOLERANCE[torch.float64]
    if name in BY_FRAME:
        torch.testing.assert_close(cut_x, whole_x, rtol=0, atol=law.TOLERANCE[torch.float64])
    else:
        assert (cut_x - whole_x).abs().max() > 1e-3
