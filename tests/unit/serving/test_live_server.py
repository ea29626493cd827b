"""The server over a real socket: what clients get, what they may not do, and that none harms another."""

from __future__ import annotations

import asyncio
import socket

import attrs
import numpy as np
import pytest
import torch
from talking import (
    END,
    RATE,
    Digesting,
    Reply,
    Running,
    frame,
    hello,
    pcm,
    pieces,
    run,
    running,
    talk,
    upgrade,
    wait_until,
    words_of,
)
from torch import Tensor
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from asr_lab.audio.resampling import resample
from asr_lab.serving.limits import ServingLimits

MICROPHONE = hello(source="microphone")


def test_two_clients_at_once_get_what_each_gets_alone(server: Running) -> None:
    one, two = pcm(2.03, seed=1), pcm(1.5, seed=2)

    async def both() -> list[Reply]:
        return await asyncio.gather(
            talk(server.url, hello(), *pieces(one), END), talk(server.url, hello(), *pieces(two, 998), END)
        )

    first, second = run(both())
    assert first.words == words_of(one)
    assert second.words == words_of(two)
    assert (first.code, second.code) == (1000, 1000)


def test_an_update_tells_all_that_the_protocol_promises(server: Running) -> None:
    reply = run(talk(server.url, hello(), *pieces(pcm(0.3, seed=1)), END))
    assert reply.messages[0] == {"type": "ready", "sample_rate": RATE, "chunk_ms": 100.0, "delay_ms": 100.0}
    update = reply.updates[0]
    assert set(update) == {
        *("type", "final", "interim", "segment_ended", "stream_ended", "audio_s", "delay_ms", "rtf"),
    }
    assert set(update["final"][0]) == {"text", "start_s", "end_s", "confidence"}
    assert update["delay_ms"] >= 0
    assert [word["end_s"] for u in reply.updates for word in u["final"]] == [0.1, 0.2, 0.3]
    assert reply.updates[-1]["audio_s"] == 0.3
    assert {u["stream_ended"] for u in reply.updates[:-1]} == {False}
    assert reply.updates[-1]["stream_ended"]


def test_audio_at_another_rate_is_resampled_for_its_client() -> None:
    class Keeping(Digesting):
        def push(self, stream: int, samples: Tensor) -> None:
            kept.append(samples)
            super().push(stream, samples)

    kept: list[Tensor] = []
    with running(Keeping()) as server:
        reply = run(talk(server.url, hello(48000), *pieces(pcm(1.0, seed=1, rate=48000), 9602), END))
    samples = np.frombuffer(pcm(1.0, seed=1, rate=48000), "<i2").astype(np.float32) / 32768
    offline = torch.from_numpy(resample(samples, 48000, RATE))
    # In single precision, the order of the filter's sums differs between processors.
    torch.testing.assert_close(torch.cat(kept), offline, atol=1e-6, rtol=0)
    assert reply.updates[-1]["audio_s"] == 1.0


def test_a_file_is_taken_no_faster_than_it_is_decoded() -> None:
    limits = ServingLimits(file_buffer_s=0.5)
    data = pcm(6.0, seed=3)
    with running(Digesting(step_s=0.01), limits) as server:
        most = 0

        async def watched() -> Reply:
            nonlocal most
            talking = asyncio.ensure_future(talk(server.url, hello(), *pieces(data), END))
            while not talking.done():
                await asyncio.sleep(0.002)
                waiting = [line.waiting_samples for line in server.worker._lines]
                most = max([most, *waiting])
            return await talking

        assert run(watched()).words == words_of(data)
    assert 0 < most <= 0.5 * RATE + 3200


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ((b"\x00\x00",), "no_hello"),
        (("nonsense",), "malformed"),
        (("{" * 900,), "malformed"),
        (('{"type": "hello", "sample_rate": 1e999}',), "bad_rate"),
        ((hello(), b"\x00\x00\x00"), "odd_bytes"),
        ((hello(), b""), "odd_bytes"),
        ((hello(), hello()), "unknown_type"),
        ((hello(), '{"type": "pause"}'), "unknown_type"),
        ((hello(), b"\x00\x00", END, b"\x00\x00"), "after_end"),
    ],
)
def test_a_client_that_says_what_it_may_not_is_told_why(
    server: Running, messages: tuple[str | bytes, ...], code: str
) -> None:
    reply = run(talk(server.url, *messages))
    if code == "after_end" and reply.updates and reply.updates[-1]["stream_ended"]:
        return  # its stream was over before its last message came
    assert reply.error == code
    assert reply.code == 1008
    wait_until(lambda: not server.worker._lines)


def test_a_message_above_the_limit_is_not_read(server: Running) -> None:
    assert run(talk(server.url, hello(), bytes(70_000))).code == 1009
    wait_until(lambda: not server.worker._lines)


@pytest.mark.parametrize(
    ("limits", "messages", "code"),
    [
        (ServingLimits(max_stream_s=0.5), (hello(), *pieces(pcm(0.6, 1))), "too_long"),
        (ServingLimits(max_ahead_s=0.5), (MICROPHONE, *pieces(pcm(1.0, 1))), "too_fast"),
        (ServingLimits(idle_s=0.1), (hello(), pcm(0.1, 1), 5.0), "idle"),
        (ServingLimits(hello_s=0.1), (5.0,), "no_hello"),
    ],
)
def test_each_limit_ends_the_stream_that_goes_past_it(
    limits: ServingLimits, messages: tuple[str | bytes | float, ...], code: str
) -> None:
    with running(Digesting(), limits) as server:
        assert run(talk(server.url, *messages)).error == code
        wait_until(lambda: not server.worker._lines)


def test_a_microphone_that_the_recogniser_cannot_follow_is_given_up() -> None:
    with running(Digesting(step_s=0.3), ServingLimits(max_behind_s=0.4)) as server:
        reply = run(talk(server.url, MICROPHONE, *pieces(pcm(2.0, 1))))
        assert (reply.error, reply.code) == ("behind", 1013)


def test_one_client_too_many_is_turned_away_until_another_leaves() -> None:
    with running(Digesting(max_streams=1), ServingLimits(max_clients=1)) as server:

        async def three() -> tuple[Reply, Reply]:
            async with connect(server.url) as first:
                await first.send(hello())
                await first.recv()
                refused = await talk(server.url, hello())
            await asyncio.sleep(0.1)
            return refused, await talk(server.url, hello(), pcm(0.1, 1), END)

        refused, served = run(three())
        assert (refused.error, refused.code) == ("full", 1013)
        assert served.code == 1000


def test_a_client_that_does_not_read_is_dropped() -> None:
    @attrs.define
    class Wordy(Digesting):
        def step(self) -> list:  # type: ignore[type-arg]
            return [attrs.evolve(update, interim="x" * 1_000_000) for update in Digesting.step(self)]

    wordy = Wordy()
    with (
        running(wordy, ServingLimits(send_s=0.3)) as server,
        socket.create_connection(("127.0.0.1", server.port)) as deaf,
    ):
        deaf.sendall(upgrade(server.port))
        deaf.recv(4096)
        for message in (hello().encode(), *pieces(pcm(5.0, 1))):
            deaf.sendall(frame(1 if message[:1] == b"{" else 2, message))
        wait_until(lambda: wordy.decoded != {})
        wait_until(lambda: not server.worker._lines)  # although it neither ended nor left


def test_a_stream_that_fails_is_its_servers_fault() -> None:
    recognizer = Digesting(fails=10**9)
    with running(recognizer) as server:
        reply = run(talk(server.url, hello(), pcm(0.2, 1)))
        assert (reply.error, reply.code) == ("internal", 1011)
        recognizer.fails = 0
        assert run(talk(server.url, hello(), *pieces(data := pcm(0.4, 2)), END)).words == words_of(data)


@pytest.mark.parametrize(
    ("origin", "host", "served"),
    [
        (None, "127.0.0.1:{port}", True),
        ("http://127.0.0.1:{port}", "127.0.0.1:{port}", True),
        ("http://localhost:{port}", "localhost:{port}", True),
        ("http://[::1]:{port}", "[::1]:{port}", True),
        ("http://localhost:9", "localhost:9", True),  # a tunnel from another port
        ("http://localhost:1", "localhost:{port}", False),
        ("http://evil.example", "127.0.0.1:{port}", False),
        ("null", "127.0.0.1:{port}", False),
        ("http://evil.example:{port}", "evil.example:{port}", False),
        (None, "evil.example", False),
        (None, "", False),
    ],
)
def test_only_the_servers_own_page_may_open_a_stream(
    server: Running, origin: str | None, host: str, served: bool
) -> None:
    lines = upgrade(server.port, host.format(port=server.port), origin and origin.format(port=server.port))
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(lines)
        status = client.recv(65536).split(b" ")[1]
    assert status == (b"101" if served else b"403")


def test_only_the_stream_is_a_websocket(server: Running) -> None:
    async def elsewhere() -> None:
        with pytest.raises(InvalidStatus):
            await connect(server.url.replace("/stream", "/page.js"))

    run(elsewhere())
