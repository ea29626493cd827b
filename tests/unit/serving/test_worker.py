"""The thread that owns the recogniser, without a network: batches, backlogs, delays and faults."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from queue import Queue
from typing import Any

import numpy as np
import pytest
from talking import RATE, TURN, Digesting, pcm, wait_until, words_of

from asr_lab.serving.protocol import ClientError, samples_of
from asr_lab.serving.queue import MAX_MARKS, Answer, Line
from asr_lab.serving.worker import Worker


class Client:
    """What the worker answers one client."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.answers: Queue[Answer] = Queue()
        self.line = worker.open(self.answers.put, lambda: None)

    def say(self, data: bytes, size: int = TURN) -> None:
        samples = samples_of(data)
        for start in range(0, len(samples), size):
            self.worker.put(self.line, samples[start : start + size])

    def collect(self) -> list[dict[str, Any]]:
        """All answers up to the last one; a stream that failed raises."""
        got: list[dict[str, Any]] = []
        while not (got and got[-1]["stream_ended"]):
            answer = self.answers.get(timeout=10)
            if isinstance(answer, ClientError):
                raise answer
            got.append(answer)
        return got


@contextlib.contextmanager
def working(recognizer: Digesting) -> Iterator[Worker]:
    worker = Worker(recognizer, RATE, TURN)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def words(answers: list[dict[str, Any]]) -> list[str]:
    return [word["text"] for answer in answers for word in answer["final"]]


@pytest.mark.parametrize("size", [1, 777, TURN, 50 * TURN])
def test_the_recogniser_gets_all_samples_in_order_whatever_their_pieces(size: int) -> None:
    data = pcm(0.25 if size == 1 else 1.03, seed=size)
    with working(Digesting()) as worker:
        client = Client(worker)
        client.say(data, size)
        worker.end(client.line)
        assert words(client.collect()) == words_of(data)
        assert not worker._lines


def test_streams_that_wait_together_are_stepped_together() -> None:
    recognizer = Digesting(step_s=0.02)
    with working(recognizer) as worker:
        clients = [Client(worker) for _ in range(8)]
        data = [pcm(0.5, seed) for seed in range(8)]
        for client, audio in zip(clients, data, strict=True):
            client.say(audio)
            worker.end(client.line)
        assert [words(client.collect()) for client in clients] == [words_of(audio) for audio in data]
    assert recognizer.widest >= 6


def test_a_backlog_delays_another_stream_by_a_step_or_two() -> None:
    recognizer = Digesting(step_s=0.005)
    with working(recognizer) as worker:
        long, short = Client(worker), Client(worker)
        long.say(pcm(20.0, seed=1), size=10 * RATE)
        short.say(pcm(0.1, seed=2))
        worker.end(short.line)
        short.collect()
        assert long.line.waiting_samples > 10 * RATE
        worker.close(long.line)
        wait_until(lambda: not recognizer.open_rows)


def test_a_stream_without_audio_has_its_final_update() -> None:
    with working(Digesting()) as worker:
        client = Client(worker)
        worker.end(client.line)
        assert [answer["stream_ended"] for answer in client.collect()] == [True]


def test_a_recogniser_that_raises_ends_the_open_streams_and_decodes_those_that_follow() -> None:
    recognizer = Digesting()
    with working(recognizer) as worker:
        before = Client(worker)
        before.say(pcm(0.1, seed=1))
        assert not before.answers.get(timeout=10)["stream_ended"]  # type: ignore[index]
        recognizer.fails = 1
        before.say(pcm(0.1, seed=1))
        with pytest.raises(ClientError, match="recogniser failed"):
            before.collect()
        wait_until(lambda: not recognizer.open_rows)
        after = Client(worker)
        after.say(data := pcm(0.3, seed=2))
        worker.end(after.line)
        assert words(after.collect()) == words_of(data)


def test_a_row_that_cannot_be_opened_is_told_to_its_client_alone() -> None:
    with working(Digesting(max_streams=1)) as worker:
        first, second = Client(worker), Client(worker)
        with pytest.raises(ClientError, match="recogniser failed"):
            second.collect()
        first.say(data := pcm(0.3, seed=2))
        worker.end(first.line)
        assert words(first.collect()) == words_of(data)


def test_a_client_that_leaves_at_any_moment_leaves_no_row() -> None:
    recognizer = Digesting(step_s=0.001)
    with working(recognizer) as worker:
        for seed in range(50):
            client = Client(worker)
            if seed % 2:
                client.say(pcm(0.05 * (seed % 7 + 1), seed))
            if seed % 3:
                worker.end(client.line)
            worker.close(client.line)
            worker.close(client.line)
        wait_until(lambda: not recognizer.open_rows)
        assert not worker._lines


def test_a_word_is_as_late_as_its_last_sample_is_old() -> None:
    times = iter(np.arange(100, 200, 0.5))
    recognizer = Digesting()
    worker = Worker(recognizer, RATE, TURN, clock=lambda: float(next(times)))
    answers: Queue[Answer] = Queue()
    line = worker.open(answers.put, lambda: None)
    worker.put(line, np.zeros(TURN, np.float32))  # at 100.0; the step begins at 100.5 and ends at 101.0
    worker.start()
    update = answers.get(timeout=10)
    worker.stop()
    assert isinstance(update, dict)
    assert update["delay_ms"] == 1000.0
    assert update["rtf"] == 0.5 / 0.1


def test_arrival_times_are_those_of_the_samples_and_bounded_in_number() -> None:
    line = Line(lambda _: None, lambda: None)
    assert line.arrival_s(1) is None
    for second in range(3 * MAX_MARKS):
        line.put(np.zeros(10, np.float32), float(second))
        line.take(10)
    newest = 3 * MAX_MARKS - 1
    assert line.arrival_s(10 * newest + 5) == line.arrival_s(10 * newest + 10) == line.arrival_s(1e9) == newest
    assert line.arrival_s(10 * newest) == newest - 1
    assert line.arrival_s(0) == 2 * MAX_MARKS
