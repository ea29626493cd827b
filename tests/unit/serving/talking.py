"""A real server on a free port, with a recogniser whose words tell which samples it was given."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple, TypeVar

import attrs
import numpy as np
import pytest
import torch
from torch import Tensor
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from asr_lab.recognition.live_words import StreamUpdate
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.serving.app import About, build_app
from asr_lab.serving.limits import ServingLimits
from asr_lab.serving.server import bind, build_server
from asr_lab.serving.sparse_log import sparse_log
from asr_lab.serving.worker import StreamRecognizer, Worker

RATE = 16000
TURN = 1600
LIMITS = ServingLimits()
T = TypeVar("T")


@attrs.define
class Digesting:
    """Makes a word final for each 0.1 s: a digest of the samples in it; remembers what is open."""

    max_streams: int = 64
    fails: int = 0
    """Steps that are still to raise."""
    step_s: float = 0.0
    """How long a step takes."""
    open_rows: dict[int, Tensor] = attrs.field(factory=dict)
    finished: set[int] = attrs.field(factory=set)
    decoded: dict[int, int] = attrs.field(factory=dict)
    widest: int = 0
    """Most streams that moved on in one step."""

    def open(self) -> int:
        if len(self.open_rows) >= self.max_streams:
            raise ValueError("all streams are taken")
        number = len(self.decoded)
        self.open_rows[number], self.decoded[number] = torch.zeros(0), 0
        return number

    def push(self, stream: int, samples: Tensor) -> None:
        self.open_rows[stream] = torch.cat([self.open_rows[stream], samples])

    def finish(self, stream: int) -> None:
        self.finished.add(stream)

    def close(self, stream: int) -> None:
        del self.open_rows[stream]

    def step(self) -> list[StreamUpdate]:
        time.sleep(self.step_s)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("this recogniser fails as it is told to")
        updates = []
        for number, samples in list(self.open_rows.items()):
            last = number in self.finished and len(samples) <= TURN
            if len(samples) < TURN and not last:
                continue
            start_s = self.decoded[number] / RATE
            part, rest = samples[:TURN], samples[TURN:]
            self.decoded[number] += len(part)
            end_s = self.decoded[number] / RATE
            words = (TimedWord(word_of(part.numpy()), start_s, end_s, 0.9),) if len(part) else ()
            updates.append(StreamUpdate(number, words, f"after {end_s:.1f}", last, last, end_s))
            self.open_rows[number] = rest
            if last:
                del self.open_rows[number]
        self.widest = max(self.widest, len(updates))
        return updates


def word_of(samples: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.round(samples * 32768).astype("<i2").tobytes()).hexdigest()[:12]


def words_of(pcm: bytes) -> list[str]:
    """What `Digesting` finds in a stream."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    return [word_of(samples[start : start + TURN]) for start in range(0, len(samples), TURN)]


class Running(NamedTuple):
    """A server that runs in a thread of this process."""

    port: int
    worker: Worker

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/stream"


@contextlib.contextmanager
def running(
    recognizer: StreamRecognizer,
    limits: ServingLimits = LIMITS,
    rate: int = RATE,
    turn_samples: int = TURN,
    bound: str = "127.0.0.1",
) -> Iterator[Running]:
    worker = Worker(recognizer, rate, turn_samples)
    about = About("a_run", rate, 1000 * turn_samples / rate, 100.0)
    server = build_server(build_app(worker, about, limits, bound), limits)
    listening = bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    worker.start()
    thread.start()
    try:
        with sparse_log():
            yield Running(listening.getsockname()[1], worker)
    finally:
        server.should_exit = True
        thread.join(10)
        worker.stop()
        assert not thread.is_alive()


class Reply(NamedTuple):
    """What a client was told: every message, and the code that its connection was closed with."""

    messages: list[dict[str, Any]]
    code: int

    @property
    def words(self) -> list[str]:
        return [word["text"] for message in self.updates for word in message["final"]]

    @property
    def updates(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == "update"]

    @property
    def error(self) -> str:
        """The code of the error that it was told last, "" without one."""
        last = self.messages[-1] if self.messages else {}
        return str(last.get("code", ""))


def hello(rate: int = RATE, source: str = "file") -> str:
    return json.dumps({"type": "hello", "sample_rate": rate, "source": source})


END = json.dumps({"type": "end"})


async def talk(url: str, *messages: str | bytes | float, origin: str | None = None) -> Reply:
    """Send messages (a number: wait so many seconds) while reading what comes, to the connection's end."""
    async with connect(url, max_size=None, compression=None, origin=origin) as socket:  # type: ignore[arg-type]
        sending = asyncio.ensure_future(_send(socket, messages))
        got = []
        with contextlib.suppress(ConnectionClosedError):
            async for text in socket:
                got.append(json.loads(text))
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert socket.close_code is not None
        return Reply(got, socket.close_code)


async def _send(socket: ClientConnection, messages: tuple[str | bytes | float, ...]) -> None:
    for message in messages:
        if isinstance(message, float):
            await asyncio.sleep(message)
        else:
            await socket.send(message)


def pcm(seconds: float, seed: int, rate: int = RATE) -> bytes:
    samples = np.random.default_rng(seed).integers(-20000, 20000, round(seconds * rate))
    return samples.astype("<i2").tobytes()


def pieces(data: bytes, size: int = 6400) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def run(main: Coroutine[Any, Any, T], within_s: float = 30.0) -> T:
    return asyncio.run(asyncio.wait_for(main, within_s))


def wait_until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, "it never became true"
        time.sleep(0.01)


@contextlib.contextmanager
def log_of_server(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Errors that a running server logs: uvicorn's are not handed on to the root's handlers."""
    log = logging.getLogger("uvicorn.error")
    log.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.ERROR):
            yield
    finally:
        log.removeHandler(caplog.handler)


def upgrade(port: int, host: str | None = None, origin: str | None = None) -> bytes:
    """A WebSocket's opening handshake, as bytes."""
    lines = ["GET /stream HTTP/1.1", f"Host: {f'127.0.0.1:{port}' if host is None else host}", "Upgrade: websocket"]
    lines += ["Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    lines += [f"Origin: {origin}"] if origin is not None else []
    return "\r\n".join([*lines, "", ""]).encode()


def frame(kind: int, data: bytes) -> bytes:
    """A masked frame (RFC 6455, section 5.2); the mask is zeros."""
    size = len(data)
    length = (
        bytes([128 | size])
        if size < 126
        else bytes([128 | 126]) + struct.pack(">H", size)
        if size < 65536
        else (bytes([128 | 127]) + struct.pack(">Q", size))
    )
    return bytes([128 | kind]) + length + bytes(4) + data
