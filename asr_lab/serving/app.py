"""The web application: the page's files, what it should know of the model, and the WebSocket."""

from __future__ import annotations

from pathlib import Path

import attrs
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from asr_lab.serving import protocol
from asr_lab.serving.connection import Seats, serve_client
from asr_lab.serving.guard import Guard
from asr_lab.serving.limits import ServingLimits
from asr_lab.serving.worker import Worker

STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@attrs.frozen
class About:
    """What the page shows of the model."""

    name: str
    """The run's."""
    sample_rate: int
    """Hertz."""
    chunk_ms: float
    delay_ms: float
    """Algorithmic delay: window, lookahead and chunk."""
    note: str = ""
    """What its reader should know, such as that the model was not trained in this context."""


def build_app(worker: Worker, about: About, limits: ServingLimits, bound: str) -> ASGIApp:
    """The application in front of a worker; `bound` is the address that its port will be on."""
    seats = Seats(limits.max_clients)
    ready = protocol.ready(about.sample_rate, about.chunk_ms, about.delay_ms)

    async def stream(websocket: WebSocket) -> None:
        await serve_client(websocket, worker, seats, limits, ready)

    async def model(request: Request) -> Response:
        return JSONResponse({**attrs.asdict(about), "max_stream_s": limits.max_stream_s})

    # Each file has its own route: no path that a client sends is ever looked up on the disk.
    files = [Route("/" if f.name == "index.html" else f"/{f.name}", _file(f)) for f in sorted(STATIC.iterdir())]
    return Guard(
        Starlette(routes=[*files, Route("/model.json", model), WebSocketRoute("/stream", stream)]), bound, limits
    )


def _file(path: Path) -> type[HTTPEndpoint]:
    class File(HTTPEndpoint):
        """A file of the page."""

        async def get(self, request: Request) -> Response:
            return FileResponse(path, media_type=MEDIA_TYPES[path.suffix])

    return File
