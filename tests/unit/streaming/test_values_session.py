"""Sessions by the number: how far a step goes, what streams are called, and whose memory a state is in."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asr_lab.streaming import Context, Frames, Streamable
from asr_lab.streaming.session import MAX_HOPS, Sessions

CONTEXT = Context(2, 0)


class Before(Streamable[tuple[Tensor]]):
    """Each frame plus the last one of the step before; says how wide its steps are.

    Where the rows of a step end alike its state is one row seen many times, which cannot be written to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.widths: list[int] = []

    def hop_frames(self, context: Context) -> int | None:
        return context.chunk_frames

    def initial_state(self, batch: int, context: Context) -> tuple[Tensor]:
        return (torch.zeros(1, 1, dtype=torch.float64).expand(batch, -1),)

    def forward(self, state: tuple[Tensor], chunk: Frames, context: Context) -> tuple[tuple[Tensor], Frames]:
        self.widths.append(chunk.x.shape[1])
        last = chunk.x.gather(1, (chunk.lengths - 1).clamp(min=0)[:, None, None])[:, 0]
        if bool((last == last[:1]).all()):
            last = last[:1].expand(chunk.batch, -1)
        return (last,), chunk.with_x(chunk.x + state[0][:, None])


def frames(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def given(sessions: Sessions) -> dict[int, list[float]]:
    return {stream: output.frames[:, 0].tolist() for stream, output in sessions.step().items()}


def test_a_state_that_rows_share_is_copied_before_one_of_them_goes_on_alone() -> None:
    sessions = Sessions(Before(), CONTEXT, dim=1)
    first, second = sessions.open(), sessions.open()
    for stream in (first, second):
        sessions.push(stream, frames(1, 2))
    assert given(sessions) == {first: [1, 2], second: [1, 2]}
    sessions.push(first, frames(10, 20))
    assert given(sessions) == {first: [12, 22]}
    sessions.push(first, frames(5, 5))
    sessions.push(second, frames(6, 6))
    assert given(sessions) == {first: [25, 25], second: [8, 8]}


def test_a_state_that_rows_share_is_copied_before_one_of_them_begins_anew() -> None:
    sessions = Sessions(Before(), CONTEXT, dim=1)
    first, second = sessions.open(), sessions.open()
    for stream in (first, second):
        sessions.push(stream, frames(1, 2))
    sessions.step()
    assert sessions.reset(first).shape == (0, 1)
    for stream in (first, second):
        sessions.push(stream, frames(10, 20))
    assert given(sessions) == {first: [10, 20], second: [12, 22]}


def test_all_streams_of_a_step_go_as_far_as_the_one_that_has_least() -> None:
    layer = Before()
    sessions = Sessions(layer, CONTEXT, dim=1)
    long, short, over = sessions.open(), sessions.open(), sessions.open()
    sessions.push(long, frames(*range(11)))
    sessions.push(short, frames(*range(6)))
    sessions.push(over, frames(*range(3)))
    sessions.finish(over)  # two hops, one of them partial
    assert {stream: len(found) for stream, found in given(sessions).items()} == {long: 4, short: 4, over: 3}
    assert {stream: len(found) for stream, found in given(sessions).items()} == {long: 2, short: 2}
    assert {stream: len(found) for stream, found in given(sessions).items()} == {long: 4}
    assert given(sessions) == {}
    assert sessions.buffered_frames(long) == 1
    assert layer.widths == [4, 2, 4]


def test_streams_are_numbered_from_one() -> None:
    sessions = Sessions(Before(), CONTEXT, dim=1)
    assert [sessions.open() for _ in range(3)] == [1, 2, 3]
    assert len(sessions) == 3
    sessions.close(3)
    assert sessions.open() == 4


def test_a_session_takes_a_stream_and_a_hop_at_least() -> None:
    assert MAX_HOPS == 16
    sessions = Sessions(Before(), CONTEXT, 1, dim=1, max_hops=1)
    sessions.push(sessions.open(), frames(1, 2, 3, 4))
    assert given(sessions) == {1: [1, 2]}
    for streams, hops in ((0, 1), (1, 0), (-1, -1)):
        with pytest.raises(ValueError, match=f"must be at least 1, got {streams} and {hops}"):
            Sessions(Before(), CONTEXT, streams, dim=1, max_hops=hops)
