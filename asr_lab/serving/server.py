"""The server on its port, from the first client to Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Callable

import attrs
import uvicorn
from starlette.types import ASGIApp

from asr_lab.errors import LabError
from asr_lab.serving.http_connection import MAX_TURNED_AWAY, limited_connection
from asr_lab.serving.limits import ServingLimits
from asr_lab.serving.sparse_log import sparse_log
from asr_lab.serving.worker import Worker
from asr_lab.units import s_to_ms

CLOSING_S = 3
"""How long clients have to say goodbye when the server stops."""
PING_S = 20.0
"""A client that has gone without a word is noticed by a ping."""
PONG_S = 60.0
"""Longer than a client's messages are left unread while its audio waits."""
UNREAD_S = 30.0
"""How long the kernel keeps a connection whose other side takes nothing: a client that never reads never closes."""

BACKLOG = 64
"""Connections that are accepted at once, before any of them is counted; the kernel keeps as many more waiting."""
SPARE_FILES = BACKLOG + MAX_TURNED_AWAY + 16
"""Open files that are no client's: connections to be turned away, the page's files while they are read."""
MIN_CONNECTIONS = 8


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. LabError when it cannot be had, saying why."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OverflowError:
        raise LabError(f"a port is a number from 0 to 65535, not {port}") from None
    except OSError as error:
        raise LabError(
            f"cannot serve on {host} port {port}: {error.strerror or error}; choose --port or --host"
        ) from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(s_to_ms(UNREAD_S)))
    return listening


def url_of(listening: socket.socket) -> str:
    """Where a browser on this machine finds the server."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def limits_here(limits: ServingLimits) -> ServingLimits:
    """The limits with as many connections as this process may have files open; LabError where there is no room.

    `ulimit -n` counts connections as files. A server that runs out of them cannot accept: clients would wait for ever.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits
    room = soft - len(os.listdir("/dev/fd")) - SPARE_FILES
    if room < MIN_CONNECTIONS:
        raise LabError(
            f"{soft} open files (ulimit -n) leave no room for clients; allow {soft - room + limits.max_connections}"
        )
    return attrs.evolve(
        limits,
        max_connections=min(limits.max_connections, room),
        max_per_address=min(limits.max_per_address, room),
    )


def build_server(app: ASGIApp, limits: ServingLimits) -> uvicorn.Server:
    """The server of an application; it reads a client's next message when the last one is dealt with."""
    config = uvicorn.Config(
        app,
        http=limited_connection(limits),
        h11_max_incomplete_event_size=limits.max_head_bytes,
        backlog=BACKLOG,
        ws="websockets-sansio",
        ws_max_size=limits.max_message_bytes,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PONG_S,
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSING_S,
    )
    return uvicorn.Server(config)


def serve(
    app: ASGIApp, worker: Worker, listening: socket.socket, limits: ServingLimits, announce: Callable[[], None]
) -> None:
    """Serve until Ctrl-C (or SIGTERM), then let clients and the worker go; `announce` is called first."""
    worker.start()
    try:
        announce()
        with sparse_log(), contextlib.suppress(KeyboardInterrupt):
            build_server(app, limits).run(sockets=[listening])
    finally:
        worker.stop()
