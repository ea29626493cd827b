"""Clients that connect and go no further, before a real server with a real limit of open files."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from talking import END, hello, pcm, pieces, run, talk, words_of
from talking_process import Process, server_process

HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: "


@contextlib.contextmanager
def half_open(port: int, count: int, sent: bytes = HALF) -> Iterator[list[socket.socket]]:
    """So many clients, each of which has sent a part of a request."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            with contextlib.suppress(ConnectionError):  # it was turned away
                client.sendall(sent)
            clients.append(client)
        yield clients


def told(client: socket.socket) -> str:
    """All that a client is told to its end."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while part := client.recv(65536):
            found += part
    return found.decode()


def status(port: int) -> int:
    try:
        return int(urllib.request.urlopen(f"http://127.0.0.1:{port}/model.json", timeout=10).status)
    except urllib.error.HTTPError as error:
        return error.code
    except ConnectionError:
        return 503  # turned away, and the connection reset before its answer was read


def name(port: int) -> str:
    return str(json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/model.json", timeout=10))["name"])


def stream_of(process: Process, seed: int) -> None:
    """See that a proper stream is decoded."""
    data = pcm(0.5, seed)
    reply = run(talk(f"ws://127.0.0.1:{process.port}/stream", hello(), *pieces(data), END))
    assert (reply.words, reply.code) == (words_of(data), 1000)


def test_two_hundred_half_open_requests_under_200_files_neither_end_the_page_nor_spin(tmp_path: Path) -> None:
    with server_process(tmp_path, files=200, request_s=6.0) as process:
        assert name(process.port) == "a_run"
        with half_open(process.port, 200) as clients:
            before_s, since_s = process.cpu_s, time.monotonic()
            assert status(process.port) == 503
            time.sleep(2)
            cpu_s, passed_s = process.cpu_s - before_s, time.monotonic() - since_s
            answers = [told(client) for client in clients]
        print(f"200 half-open requests: {cpu_s:.2f} s of processor time in {passed_s:.1f} s")
        assert cpu_s < 0.2 * passed_s
        assert {answer[:12] for answer in answers} == {"HTTP/1.1 408", "HTTP/1.1 503", ""}
        assert sum(answer[9:12] == "408" for answer in answers) == 64
        assert any("as many connections as it takes; try again" in answer for answer in answers)
        assert name(process.port) == "a_run"
        stream_of(process, seed=1)
    assert process.log.read_text() == ""


def test_a_server_that_has_no_file_left_waits_and_goes_on(tmp_path: Path) -> None:
    with server_process(tmp_path, files=200, full_s=3.0) as process:
        before_s = process.cpu_s
        with half_open(
            process.port, 20, b"GET /model.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ) as clients:
            time.sleep(2.5)
            cpu_s = process.cpu_s - before_s
            assert all("a_run" in told(client) for client in clients)
        print(f"no file left for 3 s: {cpu_s:.2f} s of processor time")
        assert cpu_s < 0.6
        stream_of(process, seed=2)
    assert 0 < len(process.log.read_text()) < 200_000
