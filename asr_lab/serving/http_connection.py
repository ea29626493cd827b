"""A connection before it is a WebSocket: how many there may be, and how long each step of a request may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from asr_lab.serving.limits import ServingLimits

LAST_WORD_S = 1.0
"""How long a connection that is over is kept, so that its client can read why."""
MAX_TURNED_AWAY = 16
"""Connections beyond the limit that are told so at a time; further ones are cut."""
RETRY_AFTER_S = 10


class LimitedConnection(H11Protocol):
    """uvicorn's connection with what it lacks: a time for each step, and a limit to how many there are.

    A timer always runs: first for the request, from the connection's opening; then for its answer, until all of it is
    written; then for the next request. A WebSocket has its own times (`ServingLimits`) from its handshake on. Whether
    there is room is decided when a connection opens, in all and for its address: 503, where there is none.
    """

    limits: ClassVar[ServingLimits] = ServingLimits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self.is_over = self._began = False
        self._due = self.loop.call_later(self.limits.request_s, self._too_slow)
        if not self._has_room():
            self._turn_away()

    def data_received(self, data: bytes) -> None:
        """The client's next bytes."""
        if self.is_over:
            return
        self._began = True
        answered = self.cycle
        super().data_received(data)
        if self.cycle is not answered and self.conn.their_state is not h11.SEND_BODY:
            self._within(self.limits.answer_s, self.transport.abort)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The request is a WebSocket's, whose protocol takes over."""
        self._due.cancel()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP; where an answer is under way or was the last one, there is no place for another.

        A request whose body is malformed may not have been answered yet: this is its answer.
        """
        if self.cycle is not None:
            self.cycle.disconnected = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.transport.is_closing():
            super().send_400_response(msg)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """An answer is written; the connection stays for a while, for another request."""
        self._began = False
        self._within(self.timeout_keep_alive + self.limits.request_s, self._too_slow)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._due.cancel()
        super().connection_lost(exc)

    def _within(self, seconds: float, otherwise: Callable[[], None]) -> None:
        self._due.cancel()
        self._due = self.loop.call_later(seconds, otherwise)

    def _has_room(self) -> bool:
        others = [c for c in self.connections if c is not self and not _is_over(c)]
        mine = sum(_address(c) == _address(self) for c in others)
        return len(others) < self.limits.max_connections and mine < self.limits.max_per_address

    def _turn_away(self) -> None:
        if sum(map(_is_over, self.connections)) < MAX_TURNED_AWAY:
            self._end(503, "the server has as many connections as it takes; try again later")
        else:
            self.is_over = True
            self.transport.abort()

    def _too_slow(self) -> None:
        """No whole request came in time; a connection on which nothing came (browsers open some) ends quietly."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if self._began and not is_answering and not self.transport.is_closing():
            self._end(408, f"the request did not come within {self.limits.request_s:g} s")
        else:
            self.transport.abort()

    def _end(self, status: int, why: str) -> None:
        """Tell the client why its connection ends.

        What it sends meanwhile is read and dropped: to close on unread bytes is a reset, which may overtake the answer.
        """
        self.is_over = True
        body = f"{why}\n"
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Content-Type: text/plain; charset=utf-8"]
        head += [f"Content-Length: {len(body)}", f"Retry-After: {RETRY_AFTER_S}", "Connection: close"]
        self.transport.write("\r\n".join([*head, "", body]).encode())
        self.transport.write_eof()
        self._within(LAST_WORD_S, self.transport.abort)


def limited_connection(limits: ServingLimits) -> type[LimitedConnection]:
    """The connections of a server with these limits."""
    return type("LimitedConnection", (LimitedConnection,), {"limits": limits})


def _address(connection: object) -> str:
    client = getattr(connection, "client", None)  # None for one that was gone before it was looked at
    return client[0] if client else ""


def _is_over(connection: object) -> bool:
    return isinstance(connection, LimitedConnection) and connection.is_over
