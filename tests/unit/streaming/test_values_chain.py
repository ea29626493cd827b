"""Hops of chains whose rates go up and down."""

from __future__ import annotations

from fractions import Fraction

import pytest

from asr_lab.nn.blocks import Norm, Upsample
from asr_lab.nn.conv import ConvModule
from asr_lab.nn.stem import FrameStack
from asr_lab.streaming import Chain, Context, Streamable


def stack(factor: int) -> FrameStack:
    return FrameStack(4, 4, factor, norm=False)


@pytest.mark.parametrize(
    ("layers", "ratio", "hop"),
    [
        ([Upsample(4, 2), Norm(4)], Fraction(2), 1),
        ([Upsample(4, 3), stack(2)], Fraction(3, 2), 2),
        ([stack(2), Upsample(4, 3), Norm(4)], Fraction(3, 2), 2),
        ([Upsample(4, 2), stack(4)], Fraction(1, 2), 2),
        ([Upsample(4, 4), ConvModule(4, 3, "chunk", 0.0)], Fraction(4), 12),
        ([stack(2), ConvModule(4, 3, "chunk", 0.0), stack(3)], Fraction(1, 6), 12),
        ([], Fraction(1), 1),
    ],
    ids=["up", "up, down", "down, up", "up, further down", "up, chunks", "down, chunks, down", "nothing"],
)
def test_a_hop_is_the_fewest_frames_that_make_whole_hops_of_every_layer(
    layers: list[Streamable], ratio: Fraction, hop: int
) -> None:
    chain = Chain(layers)
    assert chain.ratio == ratio
    assert chain.hop_frames(Context(12, 24)) == hop
