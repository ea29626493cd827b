"""Clients that break every rule: they leave nothing behind, and harm no good one."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time

import pytest
from talking import (
    END,
    Digesting,
    Reply,
    Running,
    frame,
    hello,
    log_of_server,
    pcm,
    pieces,
    run,
    running,
    talk,
    upgrade,
    wait_until,
    words_of,
)


def misbehave(server: Running, seed: int) -> None:
    """One client of the worse kind: noise, or a frame broken anywhere, or gone without a word."""
    draw = random.Random(seed)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(upgrade(server.port))
        if draw.random() < 0.1:
            return
        client.recv(4096)
        messages = [
            frame(1, draw.choice([hello().encode(), hello(source="microphone").encode(), b"{}", draw.randbytes(30)]))
        ]
        for _ in range(draw.randrange(6)):
            size = draw.choice([0, 1, 2, 3200, 3201, 64000, 70000])
            messages.append(frame(draw.choice([0, 1, 2, 2, 2, 8, 9, 11]), draw.randbytes(size)))
        wire = b"".join(messages)
        if draw.random() < 0.3:
            wire = wire[: draw.randrange(len(wire) + 1)]
        try:
            client.sendall(wire)
            if draw.random() < 0.3:
                client.settimeout(0.05)
                client.recv(4096)
        except (OSError, TimeoutError):
            return  # the server hung up first
        if draw.random() < 0.5:  # a reset in place of a goodbye
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def bad_company(server: Running, count: int) -> Reply:
    """A good client's stream beside `count` bad ones, four at a time."""
    data = pcm(2.0, seed=9)
    left = iter(range(count))
    lock = threading.Lock()

    def several() -> None:
        while True:
            with lock:
                seed = next(left, None)
            if seed is None:
                return
            misbehave(server, seed)

    threads = [threading.Thread(target=several) for _ in range(4)]

    async def good() -> Reply:
        gap_s = 0.005
        messages = [m for piece in pieces(data, 640) for m in (piece, gap_s)]
        return await talk(server.url, hello(), *messages, END)

    for thread in threads:
        thread.start()
    reply = run(good())
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert reply.words == words_of(data)
    return reply


def test_bad_clients_leave_nothing_behind_and_harm_no_good_one(caplog: pytest.LogCaptureFixture) -> None:
    recognizer = Digesting()
    with running(recognizer) as server, log_of_server(caplog):
        bad_company(server, 60)
        wait_until(lambda: not server.worker._lines and not recognizer.open_rows)
        data = pcm(0.5, 1)
        assert run(talk(server.url, hello(), *pieces(data), END)).words == words_of(data)
    assert caplog.text == ""


@pytest.mark.prove
def test_a_thousand_bad_clients_leak_no_row_no_thread_no_file_and_no_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recognizer = Digesting(max_streams=32)
    with running(recognizer) as server, log_of_server(caplog):
        bad_company(server, 250)
        before = _resources()
        begun_s = time.monotonic()
        for _ in range(4):
            bad_company(server, 250)
        assert time.monotonic() - begun_s < 300
        wait_until(lambda: not server.worker._lines and not recognizer.open_rows)
        wait_until(lambda: _resources()["files"] <= before["files"])
        after = _resources()
    print(json.dumps({"before": before, "after": after}))
    assert after["threads"] <= before["threads"]
    assert after["memory_kib"] < before["memory_kib"] + 10 * 1024
    assert caplog.text == ""


def _resources() -> dict[str, int]:
    import gc
    import os

    gc.collect()
    with open("/proc/self/status") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return {
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "memory_kib": resident,
    }
