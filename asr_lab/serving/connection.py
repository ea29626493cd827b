"""One client's connection, from its hello to its last word."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from typing import Any

import torch
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from asr_lab.audio.resampled_stream import ResampledStream
from asr_lab.serving import protocol
from asr_lab.serving.limits import ServingLimits
from asr_lab.serving.protocol import INTERNAL, TRY_LATER, ClientError, Hello
from asr_lab.serving.queue import Answer, Audio, Line
from asr_lab.serving.worker import Worker


class Seats:
    """How many more clients there is room for."""

    def __init__(self, count: int) -> None:
        self.free = count

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """A seat; ClientError when there is none."""
        if self.free < 1:
            raise ClientError("full", "the server has as many clients as it takes; try again later", TRY_LATER)
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1


class Pace:
    """Lets messages through at a bounded rate, after a burst of one second's worth."""

    def __init__(self, messages_per_s: float) -> None:
        self._gap_s = 1 / messages_per_s
        self._next_s = 0.0

    async def wait(self) -> None:
        """Return when the next message may be read."""
        now_s = asyncio.get_running_loop().time()
        self._next_s = max(self._next_s, now_s - 1) + self._gap_s
        if self._next_s > now_s:
            await asyncio.sleep(self._next_s - now_s)


async def serve_client(
    websocket: WebSocket, worker: Worker, seats: Seats, limits: ServingLimits, ready: dict[str, Any]
) -> None:
    """A WebSocket's whole life: `protocol` says what is spoken; `ready` is the answer to the hello."""
    await websocket.accept()
    try:
        with seats.taken():
            await Connection(websocket, worker, limits).run(ready)
        await _close(websocket, 1000)
    except ClientError as problem:
        await _say_error(websocket, problem, limits.send_s)
    except WebSocketDisconnect:
        pass


class Connection:
    """A client that has a seat."""

    def __init__(self, websocket: WebSocket, worker: Worker, limits: ServingLimits) -> None:
        self._websocket = websocket
        self._worker = worker
        self._limits = limits
        self._pace = Pace(limits.max_messages_per_s)
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[Answer] = asyncio.Queue()
        self._room = asyncio.Event()

    async def run(self, ready: dict[str, Any]) -> None:
        """Serve the client to its last update; ClientError for what it did wrong, WebSocketDisconnect when it left."""
        hello = await self._hello()
        await self._send(ready)
        line = self._worker.open(self._answer, self._has_room)
        try:
            await _first_of(self._receive_audio(line, hello), self._send_answers())
        finally:
            self._worker.close(line)

    async def _hello(self) -> Hello:
        message = await self._receive(self._limits.hello_s, ClientError("no_hello", "no hello came in time"))
        if not isinstance(message, str):
            raise ClientError("no_hello", "the first message is a hello in JSON, not audio")
        return protocol.read_hello(message, self._worker.sample_rate, self._limits)

    async def _receive_audio(self, line: Line, hello: Hello) -> None:
        """Hand audio over until the client ends it, then watch that it stays; never returns."""
        limits, rate = self._limits, hello.sample_rate
        resampled = ResampledStream(rate, self._worker.sample_rate)
        started_s, given_samples = self._loop.time(), 0
        idle = ClientError("idle", f"no audio for {limits.idle_s:g} s")
        while isinstance(message := await self._receive(limits.idle_s, idle), bytes):
            audio = protocol.samples_of(message)
            given_samples += len(audio)
            self._check(given_samples / rate, self._loop.time() - started_s, hello)
            await self._hand_over(line, resampled.push(torch.from_numpy(audio)).numpy(), hello)
        protocol.read_end(message, limits)
        await self._hand_over(line, resampled.finish().numpy(), hello)
        self._worker.end(line)
        slow = ClientError("slow", f"the last words took more than {limits.drain_s:g} s", INTERNAL)
        await self._receive(limits.drain_s, slow)
        raise ClientError("after_end", "nothing can follow the message of type end")

    def _check(self, given_s: float, elapsed_s: float, hello: Hello) -> None:
        limits = self._limits
        if given_s > limits.max_stream_s:
            raise ClientError("too_long", f"a stream lasts at most {limits.max_stream_s:g} s; open another")
        if elapsed_s > limits.max_open_s:
            raise ClientError("too_long", f"a stream is open for at most {limits.max_open_s:g} s; open another")
        if hello.source == "microphone" and given_s > elapsed_s + limits.max_ahead_s:
            raise ClientError("too_fast", "audio comes faster than it can be spoken; a file says so in its hello")

    async def _hand_over(self, line: Line, audio: Audio, hello: Hello) -> None:
        """Give the worker samples at its rate; a file waits for room, a microphone cannot."""
        if not len(audio):
            return
        waiting_s = self._worker.put(line, audio) / self._worker.sample_rate
        if hello.source == "microphone":
            if waiting_s > self._limits.max_behind_s:
                raise ClientError("behind", "the server is too busy to keep up with this stream", TRY_LATER)
            return
        while line.waiting_samples / self._worker.sample_rate > self._limits.file_buffer_s:
            self._room.clear()
            await self._room.wait()

    async def _send_answers(self) -> None:
        """Send what the worker answers, to the final update; ClientError when the stream failed."""
        while True:
            answer = await self._answers.get()
            if isinstance(answer, ClientError):
                raise answer
            await self._send(answer)
            if answer["stream_ended"]:
                return

    async def _receive(self, within_s: float, otherwise: ClientError) -> str | bytes:
        """The next message; `otherwise` is raised when none comes in time."""
        await self._pace.wait()
        try:
            async with asyncio.timeout(within_s):
                message = await self._websocket.receive()
        except TimeoutError:
            raise otherwise from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        data, text = message.get("bytes"), message.get("text")
        return data if isinstance(data, bytes) else str(text)

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._limits.send_s):
                await self._websocket.send_json(message)
        except TimeoutError:
            raise WebSocketDisconnect(1006, "it does not read") from None
        except RuntimeError:  # what uvicorn makes of a send to a client that closed meanwhile
            raise WebSocketDisconnect(1006, "it has left") from None

    def _answer(self, answer: Answer) -> None:
        """Called in the worker's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped
            self._loop.call_soon_threadsafe(self._answers.put_nowait, answer)

    def _has_room(self) -> None:
        """Called in the worker's thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._room.set)


async def _first_of(*parts: Awaitable[None]) -> None:
    """Run until one part returns or raises; the others are cancelled."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _say_error(websocket: WebSocket, problem: ClientError, within_s: float) -> None:
    with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):  # it has left or does not read
        async with asyncio.timeout(within_s):
            await websocket.send_json(protocol.error(problem))
    await _close(websocket, problem.close_code)


async def _close(websocket: WebSocket, code: int) -> None:
    if websocket.application_state is WebSocketState.CONNECTED:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(code)
