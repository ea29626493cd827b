"""Requests that break HTTP: each is answered, or its connection ends, and the next client is served."""

from __future__ import annotations

import contextlib
import logging
import socket
import time

import attrs
import pytest
from talking import LIMITS, Digesting, Running, log_of_server, running, upgrade

from asr_lab.serving import sparse_log
from asr_lab.serving.sparse_log import BURST, GAP_S, Sparse

HOST = "Host: localhost"


def ask(server: Running, request: bytes, within_s: float = 5.0) -> str:
    """All that a client is told which sends bytes; "" for a connection that just ends."""
    found = b""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=within_s)
    with client, contextlib.suppress(ConnectionError, TimeoutError):
        client.sendall(request)
        while part := client.recv(65536):
            found += part
    return found.decode("latin-1")


def get(*headers: str, path: str = "/model.json", body: str = "") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", *headers, "Connection: close", "", body]).encode("latin-1")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get(HOST), 200),
        (get(HOST, HOST), 400),
        (get("Host: localhost", "Host: evil.example"), 400),
        (get(), 400),
        (get("Host:"), 403),
        (get("Host: localhost evil.example"), 403),
        (get("Host: localhost:1; script-src *"), 403),
        (get("Host: evil.example\t"), 403),
        (b"GET /model.json HTTP/1.0\r\n\r\n", 403),
        (b"GET http://evil.example/model.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        (get(HOST, *(f"X-{n}: y" for n in range(60))), 200),
        (get(HOST, *(f"X-{n}: y" for n in range(70))), 431),
        (get(HOST, f"X: {'y' * 20_000}"), 431),
        (get(HOST, f"X: {'y' * 400_000}"), 400),
        (get(HOST, path="/" + "y" * 400_000), 400),
        (get(HOST, "Content-Length: 4", body="body"), 413),
        (get(HOST, "Content-Length: 0"), 200),
        (get(HOST, "Content-Length: -1"), 400),
        (get(HOST, "Content-Length: 1", "Content-Length: 2"), 400),
        (get(HOST, "Content-Length: " + "9" * 400), 400),
        (get(HOST, "Content-Length: 0x4"), 400),
        (get(HOST, "Transfer-Encoding: chunked", body="4\r\nbody\r\n0\r\n\r\n"), 413),
        (get(HOST, "Transfer-Encoding: chunked", body="not a size\r\n"), 400),
        (get(HOST, "Transfer-Encoding: chunked", "Content-Length: 4", body="0\r\n\r\n"), 413),
        (get(HOST, "Transfer-Encoding: gzip"), 400),
        (get(HOST, "no colon"), 400),
        (get(HOST, "X: \x00"), 400),
        (get(HOST, " folded"), 403),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 403),
        (b"\r\n" * 40_000, 400),
        (upgrade(1, host="localhost", origin="http://evil.example"), 403),
        (upgrade(1, host="evil.example"), 403),
        (upgrade(1, host="localhost").replace(b"Version: 13", b"Version: 12"), 400),
        (upgrade(1, host="localhost").replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), 400),
    ],
)
def test_every_malformed_request_has_its_answer(server: Running, request_: bytes, status: int) -> None:
    answer = ask(server, request_)
    assert answer.startswith(f"HTTP/1.1 {status} "), answer[:300]
    if status == 403:
        assert "a_run" not in answer
    assert ask(server, get(HOST)).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "first",
    [
        get(HOST),
        get(HOST, "Transfer-Encoding: chunked"),
        get(HOST).replace(b"Connection: close", b"X: y"),
        upgrade(1, host="localhost"),
    ],
)
@pytest.mark.parametrize("then", [b"\x00\x01 no HTTP\r\n\r\n", get(), b"GET"])
def test_noise_after_a_request_spoils_no_answer(
    server: Running, first: bytes, then: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with log_of_server(caplog):
        answer = ask(server, first + then, within_s=0.5)
        assert answer.startswith(("HTTP/1.1 200 ", "HTTP/1.1 101 ", "HTTP/1.1 400 ", "HTTP/1.1 413 "))
    assert ask(server, get(HOST)).startswith("HTTP/1.1 200 ")
    assert caplog.text == ""


def test_no_header_of_the_answer_is_written_by_the_client(server: Running) -> None:
    for host in ("localhost:1; script-src *", "localhost\x0bX: y", "localhost;"):
        assert "script-src *" not in ask(server, get(f"Host: {host}"))


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        get(HOST).replace(b"Connection: close\r\n", b"") + b"GET /model.json HT",
        b"",
    ],
)
def test_a_request_that_does_not_come_in_time_ends(sent: bytes) -> None:
    limits = attrs.evolve(LIMITS, request_s=0.5)
    with running(Digesting(), limits) as server:
        began_s = time.monotonic()
        answer = ask(server, sent, within_s=12.0)
        assert time.monotonic() - began_s < 8.0
    assert ("408 Request Timeout" in answer) == (sent[-2:] == b"\r\n" or sent == b"GET / HT")


def test_a_request_that_comes_in_drops_ends_all_the_same() -> None:
    limits = attrs.evolve(LIMITS, request_s=0.5)
    with running(Digesting(), limits) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        began_s = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began_s < 5:
                client.sendall(b"X")
                time.sleep(0.05)
        assert time.monotonic() - began_s < 3


def test_an_address_has_its_own_limit_and_is_told_so() -> None:
    limits = attrs.evolve(LIMITS, max_per_address=3, max_connections=100)
    with running(Digesting(), limits) as server, contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(3)]
        for client in held:
            client.sendall(b"GET")
        time.sleep(0.2)
        answer = ask(server, get(HOST))
        assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
        assert "Retry-After: 10\r\n" in answer
        held[0].close()
        time.sleep(0.2)
        assert ask(server, get(HOST)).startswith("HTTP/1.1 200 ")


def test_the_log_is_bounded_and_tells_what_it_left_out() -> None:
    now = [0.0]
    sparse = Sparse(lambda: now[0])
    records = [logging.LogRecord("uvicorn.error", 30, "", 0, "number %d", (n,), None) for n in range(10_000)]
    passed = [record.getMessage() for record in records if sparse.filter(record)]
    assert passed == [f"number {n}" for n in range(BURST)]
    now[0] += GAP_S
    last = logging.LogRecord("uvicorn.error", 30, "", 0, "the last", (), None)
    assert sparse.filter(last)
    assert last.getMessage() == f"the last ({10_000 - BURST} records before this one were left out)"
    assert not sparse.filter(records[0])


def test_a_clients_noise_leaves_room_for_the_servers_own_errors() -> None:
    sparse = Sparse(lambda: 0.0)
    noise, error = (logging.LogRecord("uvicorn.error", level, "", 0, "x", (), None) for level in (30, 40))
    assert sum(sparse.filter(noise) for _ in range(1000)) == BURST
    assert sum(sparse.filter(error) for _ in range(1000)) == BURST


def test_the_bound_holds_for_all_that_a_server_logs() -> None:
    def bounds() -> list[int]:
        return [sum(isinstance(f, Sparse) for f in logging.getLogger(name).filters) for name in sparse_log.LOGGERS]

    before = bounds()
    with sparse_log.sparse_log():
        assert bounds() == [number + 1 for number in before]
    assert bounds() == before
