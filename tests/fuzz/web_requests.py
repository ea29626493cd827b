"""Bytes and WebSocket messages to a real server of the live page, a process of its own, mutated at random."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from outcomes import MEMORY_MB, Case
from small_run import SmallRun

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "serving"))

from talking import END, frame, hello, pcm, upgrade
from talking_process import Process, server_process

ANSWERED_S = 5.0
"""A proper request that takes longer is a hang."""
IDLE_S = 0.3
"""How long a client waits that has nothing left to send."""
HEADERS = (
    *("Host: localhost", "Host: evil.example", "Host:", "Host: [::1]:1", "Content-Length: 5", "Content-Length: -1"),
    *("Transfer-Encoding: chunked", "Expect: 100-continue", "Connection: close", "Connection: upgrade, close"),
    *("Upgrade: websocket", "Upgrade: h2c", "Origin: http://localhost", "Origin: null", "Sec-WebSocket-Key: x"),
    *("Sec-WebSocket-Version: 13", "Sec-WebSocket-Extensions: permessage-deflate; x=", "Sec-WebSocket-Protocol: a, ,b"),
    *("Range: bytes=0-9,5-", "Range: bytes=-1", "If-Modified-Since: never", "If-None-Match: *", "X: é"),
)
PATHS = ("/", "/page.js", "/model.json", "/stream", "/%00", "/../page.js", "//", "/?" + "x=1&" * 50, "*", "/\xff")


def cases(small: SmallRun, number: int, seed: int, first: int = 0) -> Iterator[Case]:
    """Send one client's bytes, and see that the server answers the next one, logs no traceback, and keeps its size."""
    with server_process(small.folder, idle_s=2.0) as process:
        read = 0
        for index in range(first, first + number):
            rng = random.Random(f"{seed} web requests {index}")
            kind = rng.choice((_http, _http, _handshake, _messages, _messages, _messages))
            began_s = time.monotonic()
            sent = kind(rng, process.port)
            _send(process.port, sent, rng)
            fault, read = _fault(process, read)
            yield Case(f"{index}: {kind.__name__.strip('_')}, {len(sent)} bytes", fault, time.monotonic() - began_s)


def _http(rng: random.Random, port: int) -> bytes:
    """One or more requests, some with a body."""
    method = rng.choice(("GET", "GET", "HEAD", "POST", "OPTIONS", "CONNECT", "get", "\x00", "X" * 300))
    version = rng.choice(("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/9.9", "", "http"))
    lines = [f"{method} {rng.choice(PATHS)} {version}", *rng.choices(HEADERS, k=rng.randrange(8))]
    if rng.random() < 0.1:
        lines += [f"X{n}: {'y' * rng.randrange(3000)}" for n in range(rng.randrange(200))]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    body = rng.choice((b"", b"5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", b"-1\r\n", rng.randbytes(50)))
    return _mutated((head + body) * rng.choice((1, 1, 1, 30)), rng)


def _handshake(rng: random.Random, port: int) -> bytes:
    """A WebSocket's opening, with other headers among its own."""
    lines = upgrade(port).decode().split("\r\n")
    for header in rng.choices(HEADERS, k=rng.randrange(4)):
        lines.insert(rng.randrange(1, len(lines) - 1), header)
    return _mutated("\r\n".join(lines).encode("latin-1"), rng) + frame(1, hello().encode())


def _messages(rng: random.Random, port: int) -> bytes:
    """A right opening, and messages of which some are right."""
    sound = pcm(0.1, rng.randrange(100))
    texts: tuple[Callable[[], bytes], ...] = (
        lambda: hello().encode(),
        lambda: END.encode(),
        lambda: _odd_json(rng),
        lambda: rng.randbytes(rng.randrange(200)),
        lambda: sound,
        lambda: sound[:-1],
        lambda: b"",
        lambda: b"[" * 60_000,
        lambda: b"\x00" * rng.choice((65_536, 65_537)),
    )
    wire = [frame(1, hello(source=rng.choice(("file", "microphone"))).encode())] if rng.random() < 0.8 else []
    for _ in range(rng.randrange(8)):
        kind = rng.choice((0, 1, 1, 2, 2, 2, 3, 8, 9, 10, 15))
        one = bytearray(frame(kind, rng.choice(texts)()))
        if rng.random() < 0.2:  # a fragment, reserved bits, no mask, a length of 2**63
            one[:2] = rng.choice((bytes([kind]), bytes([0xF0 | kind]), one[:1])) + one[1:2]
            one[1] = rng.choice((one[1], one[1] & 127, 255))
        wire.append(bytes(one))
    return upgrade(port) + (b"".join(wire) if rng.random() < 0.7 else _mutated(b"".join(wire), rng))


def _odd_json(rng: random.Random) -> bytes:
    odd = (None, True, -1, 2**70, 1e400, float("nan"), "", "file", [], {}, "\ud800", "x" * 5000)
    names = ("type", "sample_rate", "source", "__proto__")
    return json.dumps({rng.choice(names): rng.choice((*odd, "hello", "end", 16000)) for _ in range(4)}).encode()


def _mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, doubled, left out, cut."""
    changed = bytearray(data)
    for _ in range(rng.choice((0, 0, 1, 3, 20))):
        if changed:
            at = rng.randrange(len(changed))
            piece = changed[at : at + rng.randrange(1, 20)]
            changed[at : at + rng.randrange(3)] = rng.choice((rng.randbytes(2), b"", piece * 2, b"\r\n", b":", b"\x00"))
    return bytes(changed[: rng.randrange(len(changed) + 1)] if rng.random() < 0.2 else changed)


def _send(port: int, data: bytes, rng: random.Random) -> None:
    """Send it in one or in several pieces, read a while, and go: with a goodbye or a reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWERED_S) as client:
        with contextlib.suppress(OSError):
            cut = rng.randrange(len(data) + 1) if rng.random() < 0.3 else len(data)
            client.sendall(data[:cut])
            client.sendall(data[cut:])
            client.settimeout(rng.choice((0.005, 0.02, IDLE_S)))
            while client.recv(65_536):
                pass
        if rng.random() < 0.3:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _fault(process: Process, read: int) -> tuple[str, int]:
    """What is wrong with the server now, and how much of its log was read."""
    log = process.log.read_text()
    new = log[read:]
    try:
        url = f"http://127.0.0.1:{process.port}/model.json"
        with urllib.request.urlopen(url, timeout=ANSWERED_S) as answer:
            json.load(answer)
    except (OSError, ValueError) as error:
        return f"no answer to a proper request: {error}; log: {new[-300:]}", len(log)
    if "Traceback" in new or "Exception" in new or "ERROR" in new:
        return f"log: {new[-600:]}", len(log)
    if process.memory_mb > MEMORY_MB:
        return f"holds {process.memory_mb:.0f} MB", len(log)
    return "", len(log)
