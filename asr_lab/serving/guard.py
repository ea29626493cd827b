"""Who may use the server, and what its page may do."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
FIXED_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",
}


def host_name(host: str) -> str:
    """The name or address in a Host header, without port and brackets, in lower case."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0] if name.count(":") == 1 else name


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Refuses what another site's page could send, and tells browsers what this page may do.

    The Host header must be a loopback name or the bound address (bound to all addresses: any address in figures, or
    this machine's name). A name that another's DNS points here is refused: that is DNS rebinding. A WebSocket
    with an Origin must come from the page of the same Host, port included, as browsers let any page open one.
    """

    def __init__(self, app: ASGIApp, bound: str) -> None:
        self._app = app
        self._names = LOOPBACK_NAMES | {bound.lower()}
        self._everywhere = bound in ("0.0.0.0", "::", "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self.knows(host):
            await _refuse(scope, receive, send, "this server does not answer to that name")
        elif scope["type"] == "websocket" and origin is not None and not same_origin(origin, host):
            await _refuse(scope, receive, send, "another site's page may not open a stream here")
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, host))

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server."""
        name = host_name(host)
        if name in self._names:
            return True
        return self._everywhere and (_is_address(name) or name == socket.gethostname().lower())


def same_origin(origin: str, host: str) -> bool:
    """Whether an Origin is the page that the Host serves, whatever the scheme (a proxy may add TLS)."""
    scheme, _, rest = origin.strip().lower().partition("://")
    return scheme in ("http", "https") and rest == host.strip().lower()


def page_policy(host: str) -> str:
    """The Content-Security-Policy of the page: its own files and its own WebSocket, nothing inline."""
    own = f"'self' ws://{host} wss://{host}"  # some browsers' 'self' leaves WebSockets out
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; worker-src 'self'; "
        f"connect-src {own}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send, host: str) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update({**FIXED_HEADERS, "Content-Security-Policy": page_policy(host)})
        await send(message)

    return send_with_headers


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
    else:
        await PlainTextResponse(f"{why}\n", status_code=403)(scope, receive, send)
