"""A chain's ratio, hop and lookahead follow from its parts."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from asr_lab.nn.stems import FrameConv, FrameStack
from asr_lab.streaming import WHOLE, Chain, Context, Frames, Streamable, cut, run_whole, scan


class Chunked(Streamable[tuple[()]]):
    """Frames as they are, in hops of the context's chunk."""

    def hop_frames(self, context: Context) -> int | None:
        return context.chunk_frames

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        return (), chunk


def stacks(*factors: int) -> Chain:
    return Chain([FrameStack(4, 4, factor, norm=False) for factor in factors])


def test_ratios_multiply() -> None:
    assert stacks(2, 3).ratio == Fraction(1, 6)
    assert stacks(2, 3).hop_frames(WHOLE) == 6
    assert len(stacks(2, 3)) == 2


def test_a_context_reaches_each_layer_at_its_own_rate() -> None:
    chain = Chain([FrameStack(4, 4, 2, norm=False), Chunked()])
    assert chain.hop_frames(Context(8, 16)) == 8
    assert Context(8, 16).after(Fraction(1, 2)) == Context(4, 8)


def test_a_context_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk of 9 frames"):
        stacks(2, 2).initial_state(1, Context(9, 18))
    with pytest.raises(ValueError, match="left context of 7 frames"):
        stacks(2, 2).initial_state(1, Context(8, 7))


def test_one_layer_that_needs_the_whole_makes_the_chain_need_it() -> None:
    assert Chain([FrameStack(4, 4, 2, norm=False), Chunked()]).hop_frames(WHOLE) is None


def test_lookahead_is_counted_at_the_input() -> None:
    conv = FrameConv(4, 4, 1, causal=False)
    assert Chain([conv]).lookahead_frames == 1
    assert Chain([FrameStack(4, 4, 4, norm=False), FrameConv(4, 4, 1, causal=False)]).lookahead_frames == 4
    assert Chain([conv, FrameStack(4, 4, 4, norm=False)]).lookahead_frames == 1


def test_walking_gives_what_each_layer_made() -> None:
    chain = stacks(2, 3)
    frames = Frames.whole(torch.randn(1, 12, 4))
    outs = [out for _, out in chain.walk(chain.initial_state(1, WHOLE), frames, WHOLE)]
    assert [out.lengths.tolist() for out in outs] == [[6], [2]]
    assert torch.equal(outs[-1].x, run_whole(chain, frames, WHOLE).x)


def steps(*counts: tuple[int, ...]) -> list[Tensor]:
    return [torch.tensor(count) for count in counts]


def test_cutting_gives_each_row_its_own_frames_and_ends_it_once() -> None:
    frames = Frames.whole(torch.arange(10.0).view(2, 5), torch.tensor([5, 2]))
    pieces = list(cut(frames, steps((2, 0), (2, 2), (4, 4))))
    assert [p.lengths.tolist() for p in pieces] == [[2, 0], [2, 2], [1, 0]]
    assert [p.final.tolist() for p in pieces] == [[False, False], [False, True], [True, False]]
    assert pieces[1].x.tolist() == [[2.0, 3.0], [5.0, 6.0]]
    assert bool(pieces[0].x[1].isnan().all())


def test_cuts_that_leave_frames_over_are_a_mistake() -> None:
    with pytest.raises(AssertionError, match="cover"):
        list(cut(Frames.whole(torch.zeros(1, 5)), steps((2,), (2,))))


def test_scanning_joins_each_rows_frames() -> None:
    chain = stacks(2)
    frames = Frames.whole(torch.randn(3, 8, 4), torch.tensor([8, 5, 0]))
    whole = run_whole(chain, frames, WHOLE)
    joined = scan(chain, cut(frames, steps((2, 4, 2), (6, 4, 2))), WHOLE)
    assert joined.lengths.tolist() == [4, 3, 0]
    torch.testing.assert_close(joined.valid(), whole.valid())


def test_a_chain_of_lookaheads_holds_frames_back_until_the_end() -> None:
    chain = Chain([FrameConv(4, 4, 1, causal=False), FrameConv(4, 4, 2, causal=False)])
    frames = Frames.whole(torch.randn(1, 9, 4))
    state = chain.initial_state(1, WHOLE)
    given = []
    for piece in cut(frames, steps((3,), (4,), (2,))):
        state, out = chain(state, piece, WHOLE)
        given.append(int(out.lengths))
    assert given == [1, 2, 2]
