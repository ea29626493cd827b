"""The server on its port, from the first client to Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from asr_lab.errors import LabError
from asr_lab.serving.limits import ServingLimits
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


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. LabError when it cannot be had, saying why."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=128)
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


def not_the_clients_fault(record: logging.LogRecord) -> bool:
    """Whether a record of the server's log is worth reading: no traceback for a client's text that is not UTF-8."""
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        if isinstance(error, UnicodeDecodeError):
            return False
        error = error.__context__  # while the connection closes, uvicorn stumbles over its own answer to it
    return True


def build_server(app: ASGIApp, limits: ServingLimits) -> uvicorn.Server:
    """The server of an application; it reads a client's next message when the last one is dealt with."""
    config = uvicorn.Config(
        app,
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
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(not_the_clients_fault)  # the same one again adds nothing
    return uvicorn.Server(config)


def serve(
    app: ASGIApp, worker: Worker, listening: socket.socket, limits: ServingLimits, announce: Callable[[], None]
) -> None:
    """Serve until Ctrl-C (or SIGTERM), then let clients and the worker go; `announce` is called first."""
    worker.start()
    try:
        announce()
        with contextlib.suppress(KeyboardInterrupt):
            build_server(app, limits).run(sockets=[listening])
    finally:
        worker.stop()
