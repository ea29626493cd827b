"""Live sessions: every stream is as if alone, whatever the others do and whatever its caller does wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_lab.nn.stems import FrameStack
from asr_lab.streaming import WHOLE, Chain, Context, Frames, Streamable, run_whole
from asr_lab.streaming.rows import num_bytes
from asr_lab.streaming.session import Output, Sessions

HOP = 80
"""Samples per feature frame, at 8 kHz."""
CONTEXT = Context(16 * HOP, 32 * HOP)
TOLERANCE = 1e-9

Encoder = Callable[[Literal["ssm", "conformer"]], Chain]


class Latest(Streamable[tuple[Tensor]]):
    """Gives its frames as they are, and carries a view of the last one: the worst that a layer may do with memory."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.widest = 0

    def hop_frames(self, context: Context) -> int | None:
        return context.chunk_frames

    def initial_state(self, batch: int, context: Context) -> tuple[Tensor]:
        return (torch.zeros(1, 2, dtype=torch.float64).expand(batch, -1),)

    def forward(self, state: tuple[Tensor], chunk: Frames, context: Context) -> tuple[tuple[Tensor], Frames]:
        self.widest = max(self.widest, chunk.x.shape[1])
        return (chunk.x[:, 0] * 1.0,), chunk.with_x(chunk.x + state[0][:, None])


def lone_run(layer: Streamable[None], audio: Tensor, context: Context = CONTEXT) -> Tensor:
    with torch.inference_mode():
        frames = run_whole(layer, Frames.whole(audio[None]), context)
    return frames.x[0, : int(frames.lengths[0])]


def drained(sessions: Sessions) -> dict[int, Tensor]:
    """Steps until nothing is due: each stream's frames."""
    pieces: dict[int, list[Tensor]] = {}
    while outputs := sessions.step():
        for stream, output in outputs.items():
            pieces.setdefault(stream, []).append(output.frames)
    return {stream: torch.cat(found) for stream, found in pieces.items()}


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert not len(expected) or float((found - expected).abs().max()) < TOLERANCE


@pytest.mark.parametrize("kind", ["ssm", "conformer"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.prove) for n in range(1, 11))])
def test_64_streams_that_join_idle_and_leave_equal_64_lone_runs(
    encoder: Encoder, digits: list[Tensor], kind: Literal["ssm", "conformer"], seed: int
) -> None:
    layer, rng = encoder(kind), np.random.default_rng(seed)
    sessions = Sessions(layer, CONTEXT)
    waiting = [torch.cat([digits[i] for i in rng.integers(0, len(digits), n)]) for n in rng.integers(1, 5, 64)]
    waiting[:3] = [waiting[0][:0], waiting[1][:1], waiting[2][: HOP + 1]]
    live: dict[int, tuple[Tensor, int]] = {}  # audio, samples pushed
    streamed: dict[int, list[Tensor]] = {}
    audio_of: dict[int, Tensor] = {}
    left: set[int] = set()
    together = 0
    while waiting or live:
        while waiting and rng.random() < 0.9:  # join
            stream = sessions.open()
            audio_of[stream], streamed[stream] = waiting.pop(), []
            live[stream] = (audio_of[stream], 0)
        for stream, (audio, given) in list(live.items()):
            if rng.random() < 0.4:  # idle
                continue
            count = int(rng.choice([1, 77, 800, 3000, 9000]))
            sessions.push(stream, audio[given : given + count])
            live[stream] = (audio, given + count)
            if given + count >= len(audio):
                sessions.finish(stream)
                del live[stream]
            elif rng.random() < 0.02:  # leave
                sessions.close(stream)
                left.add(stream)
                del live[stream]
        outputs = sessions.step()
        together = max(together, len(outputs))
        for stream, output in outputs.items():
            streamed[stream].append(output.frames)
    for stream, frames in drained(sessions).items():
        streamed[stream].append(frames)
    assert len(sessions) == 0
    assert len(streamed) == 64
    assert left, "no stream left early: the check is empty"
    assert together > 16
    for stream, pieces in streamed.items():
        expected = lone_run(layer, audio_of[stream])
        found = torch.cat(pieces) if pieces else expected[:0]
        assert_same(found, expected[: len(found)] if stream in left else expected)


def test_an_hour_pushed_at_once_is_served_in_pieces() -> None:
    layer = Latest()
    sessions = Sessions(layer, Context(4, 4), dim=2, max_hops=3)
    stream = sessions.open()
    x = torch.randn(4 * 3 * 100 + 2, 2, dtype=torch.float64)
    sessions.push(stream, x)
    sessions.finish(stream)
    assert len(drained(sessions)[stream]) == len(x)
    assert layer.widest == 4 * 3


def test_a_backlog_waits_for_no_stream_and_none_for_it(encoder: Encoder, digits: list[Tensor]) -> None:
    layer = encoder("ssm")
    sessions = Sessions(layer, CONTEXT)
    long, short = torch.cat(digits[:10]), torch.cat(digits[10:12])
    behind, live = sessions.open(), sessions.open()
    sessions.push(behind, long)
    sessions.push(live, short[: CONTEXT.chunk_frames or 0])
    sessions.push(live, short[CONTEXT.chunk_frames or 0 :][: 2 * HOP])
    assert set(sessions.step()) == {behind, live}
    assert set(sessions.step()) == {behind}
    sessions.finish(live)
    outputs = sessions.step()
    assert outputs[live].final
    assert not outputs[behind].final


def test_a_reset_stream_is_two_streams(encoder: Encoder, digits: list[Tensor]) -> None:
    layer = encoder("conformer")
    sessions = Sessions(layer, CONTEXT, max_hops=1)
    audio = torch.cat(digits[:6])
    stream, other = sessions.open(), sessions.open()
    sessions.push(stream, audio)
    sessions.push(other, audio)
    pieces = [output.frames for output in (sessions.step()[stream] for _ in range(3))]
    held = sessions.reset(stream)
    assert len(held), "this encoder holds frames back"
    cut = 3 * sessions.hop_frames + sessions.lookahead_frames
    assert_same(torch.cat([*pieces, held]), lone_run(layer, audio[:cut]))
    sessions.finish(stream)
    sessions.finish(other)
    rest = drained(sessions)
    assert_same(rest[stream], lone_run(layer, audio[cut:]))
    assert_same(rest[other], lone_run(layer, audio)[-len(rest[other]) :])


def test_frames_that_were_given_out_stay_as_they_are() -> None:
    sessions = Sessions(Latest(), Context(2, 0), dim=2)
    first, second = sessions.open(), sessions.open()
    outputs: list[tuple[Output, Tensor]] = []
    for n, streams in enumerate([(first, second), (first,), (first, second), (second,), (second,), (first,)]):
        for stream in streams:
            sessions.push(stream, torch.full((2, 2), float(n), dtype=torch.float64))
        outputs += [(output, output.frames.clone()) for output in sessions.step().values()]
    assert all(torch.equal(output.frames, then) for output, then in outputs)
    assert outputs[-1][0].frames.tolist() == [[5.0 + 2.0] * 2] * 2  # what it was given last, in step 2


def test_a_caller_may_use_its_buffer_again() -> None:
    sessions = Sessions(Latest(), Context(2, 0), dim=2)
    stream = sessions.open()
    buffer = torch.ones(2, 2, dtype=torch.float64)
    sessions.push(stream, buffer)
    buffer.fill_(9.0)
    assert sessions.step()[stream].frames.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_a_stream_without_input_ends_without_frames(encoder: Encoder) -> None:
    sessions = Sessions(encoder("conformer"), CONTEXT)
    stream = sessions.open()
    assert sessions.step() == {}
    sessions.finish(stream)
    (output,) = sessions.step().values()
    assert output.final
    assert output.frames.shape == (0, 32)
    assert sessions.step() == {}


def test_memory_is_that_of_the_open_streams(encoder: Encoder) -> None:
    layer = encoder("ssm")
    sessions = Sessions(layer, CONTEXT)
    assert sessions.state_bytes == num_bytes(layer.initial_state(1, CONTEXT))
    streams = [sessions.open() for _ in range(5)]
    assert num_bytes(sessions._state) == 5 * sessions.state_bytes
    for stream in streams[1:]:
        sessions.close(stream)
    assert num_bytes(sessions._state) == sessions.state_bytes
    sessions.push(streams[0], torch.zeros(1000))
    assert sessions.buffered_frames(streams[0]) == 1000


def test_what_one_caller_does_wrong_is_an_error_and_harms_no_stream(encoder: Encoder, digits: list[Tensor]) -> None:
    layer = encoder("ssm")
    sessions = Sessions(layer, CONTEXT, max_streams=2)
    good, bad = sessions.open(), sessions.open()
    audio = torch.cat(digits[:5])
    sessions.push(good, audio)
    sessions.push(bad, audio[:100])
    with pytest.raises(ValueError, match="all 2 streams are taken"):
        sessions.open()
    for x in (torch.tensor([0.0, torch.nan]), torch.tensor([torch.inf])):
        with pytest.raises(ValueError, match=f"stream {bad}: input holds values that are not finite"):
            sessions.push(bad, x)
    for x in (torch.zeros(3, 2), torch.zeros(()), torch.zeros(3, dtype=torch.int16)):
        with pytest.raises(ValueError, match=f"stream {bad}: input is \\(S,\\) of floats, not"):
            sessions.push(bad, x)
    assert sessions.buffered_frames(bad) == 100
    sessions.finish(bad)
    with pytest.raises(ValueError, match=f"stream {bad} is finished and takes no more input"):
        sessions.push(bad, audio)
    sessions.finish(good)
    frames = drained(sessions)
    assert_same(frames[good], lone_run(layer, audio))
    assert_same(frames[bad], lone_run(layer, audio[:100]))
    for call in (sessions.finish, sessions.close, sessions.reset, sessions.buffered_frames):
        with pytest.raises(ValueError, match="no open stream 77: it was never opened, or has ended, or was closed"):
            call(77)
    with pytest.raises(ValueError, match=f"no open stream {good}"):
        sessions.push(good, audio)


def test_numbers_are_never_used_again() -> None:
    sessions = Sessions(Latest(), Context(2, 0), max_streams=1, dim=2)
    first = sessions.open()
    sessions.close(first)
    assert sessions.open() != first


def test_a_layer_that_cannot_be_cut_is_refused_by_the_name_of_its_part(encoder: Encoder) -> None:
    with pytest.raises(
        ValueError, match=r"part 3.mixer \(Attention\) cannot stream: it needs the whole utterance in a"
    ):
        Sessions(encoder("ssm"), WHOLE)
    with pytest.raises(ValueError, match="chunk 4 and left unlimited"):
        Sessions(encoder("ssm"), Context(16 * HOP, None))
    with pytest.raises(ValueError, match=r"Latest cannot stream"):
        Sessions(Latest(), WHOLE)


def test_the_reason_is_the_parts_own_where_it_has_one() -> None:
    from asr_lab.slots.features.log_mel import LogMel

    features = LogMel(level="utterance").build()
    assert features.whole_because
    with pytest.raises(ValueError, match=r"part 0 \(MelSpectrogramExtractor\) cannot stream: ") as error:
        Sessions(Chain([features, FrameStack(80, 4, 2, norm=False)]), CONTEXT)
    assert str(error.value).endswith(features.whole_because)
