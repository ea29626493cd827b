"""Who may use the server, and what its page may do."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asr_lab.serving.limits import ServingLimits

HOST = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]*:[0-9a-f:.]*)\]|(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*))(?::(?P<port>[0-9]{1,5}))?"
)
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
FIXED_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",
}


def host_name(host: str) -> str | None:
    """The name or address of a Host header, lower case, without port and brackets; None where it is malformed.

    `name`, `name:port`, `1.2.3.4:port` and `[v6]:port` (RFC 9112, section 3.2); nothing around them, no other forms of
    an address, no port beyond 65535. What passes can stand in a header of the answer.
    """
    found = HOST.fullmatch(host.lower())
    if found is None or not 0 < int(found["port"] or 80) < 65536:
        return None
    if found["v6"] is None:
        return found["name"]
    return found["v6"] if _is_address(found["v6"]) else None


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Refuses what another site's page could send, and tells browsers what this page may do.

    The Host header must stand once, well-formed, and be a loopback name or the bound address (bound to all addresses:
    any address in figures, or this machine's name). A name that another's DNS points here is refused: that is DNS
    rebinding. Its port may be another, as tunnels' are. A WebSocket with an Origin must come from the page of the same
    Host, port included, as browsers let any page open one.
    """

    def __init__(self, app: ASGIApp, bound: str, limits: ServingLimits) -> None:
        self._app = app
        self._limits = limits
        self._names = LOOPBACK_NAMES | {bound.lower()}
        self._everywhere = bound in ("0.0.0.0", "::", "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if refused := self._refused(scope["type"], headers):
            await _refuse(scope, receive, send, *refused)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, headers["host"]))

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server."""
        name = host_name(host)
        if name is None or name in self._names:
            return name is not None
        return self._everywhere and (_is_address(name) or name == socket.gethostname().lower())

    def _refused(self, kind: str, headers: Headers) -> tuple[int, str] | None:
        """The status and the reason of a request that is not let through."""
        size = sum(len(name) + len(value) for name, value in headers.raw)
        if len(headers.raw) > self._limits.max_headers or size > self._limits.max_head_bytes:
            return (
                431,
                f"a request has at most {self._limits.max_headers} headers, of {self._limits.max_head_bytes} bytes",
            )
        if "transfer-encoding" in headers or headers.get("content-length", "0").strip("0"):
            return 413, "no request here has a body"
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self.knows(hosts[0]):
            return 403, "this server does not answer to that name"
        if kind == "websocket" and origins and (len(origins) > 1 or not same_origin(origins[0], hosts[0])):
            return 403, "another site's page may not open a stream here"
        return None


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


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
    else:
        await PlainTextResponse(f"{why}\n", status_code=status, headers={"Connection": "close"})(scope, receive, send)
