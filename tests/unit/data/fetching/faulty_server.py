"""An HTTP server whose answers stall, are cut, lie about lengths, ignore ranges, change, redirect, or are pages."""

from __future__ import annotations

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FaultyServer:
    """Serves `files` by their path; each request takes the next of `faults`, and those after the last are served well.

    A fault is a word, or a word and a number: `cut 1000` sends so many bytes and closes; `stall 1000` sends so many and
    nothing more; `long 5` promises so many bytes more than it has, `short 5` fewer; `status 503`; `page`; `no-range`
    answers 200 to a range; `other-place 7` goes on so many bytes off; `chunked`; `no-length`; `trickle`; `redirect`.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: list[str] = []
        self.tag = '"one"'
        """None of the answers has one where it is empty."""
        self.requests: list[tuple[str, str]] = []
        """Path and range of each."""
        self.sent = 0
        self.ending = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.requests.append((request.path, wanted))
        fault, _, number = (self.faults.pop(0) if self.faults else "").partition(" ")
        request.close_connection = True
        content = self.files.get(request.path)
        if fault == "redirect" and content is not None:
            self.files["/elsewhere"] = content
            self._head(request, 302, {"Location": "/elsewhere", "Content-Length": "0"})
            return
        if fault == "status" or content is None:
            self._head(request, int(number or 404), {"Content-Length": "0", "Retry-After": "0"})
            return
        if fault == "page":
            self._head(request, 200, {"Content-Type": "text/html", "Content-Length": "4"})
            self._send(request, b"<htm")
            return
        start = self._start(request, wanted, fault)
        if start is not None and start >= len(content):
            self._head(request, 416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
            return
        self._body(request, content, start, fault, int(number or 0))

    def _start(self, request: BaseHTTPRequestHandler, wanted: str, fault: str) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        same = request.headers.get("If-Range", self.tag) == self.tag
        return int(found[1]) if found and same and fault != "no-range" else None

    def _body(
        self, request: BaseHTTPRequestHandler, content: bytes, start: int | None, fault: str, number: int
    ) -> None:
        total = len(content)
        headers = {"ETag": self.tag} if self.tag else {}
        body = content if start is None else content[start:]
        if start is not None:
            first = start + number if fault == "other-place" else start
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
        length = len(body) + {"long": number, "short": -number}.get(fault, 0)
        if fault == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        elif fault != "no-length":
            headers["Content-Length"] = str(length)
        self._head(request, 200 if start is None else 206, headers)
        if fault == "chunked":
            self._send(request, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        elif fault == "cut":
            self._send(request, body[:number])
        elif fault == "stall":
            self._send(request, body[:number])
            self.ending.wait(20)
        elif fault == "trickle":
            for byte in body:
                if self.ending.is_set() or not self._send(request, bytes([byte])):
                    return
                time.sleep(0.05)
        else:
            self._send(request, body)

    def _head(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Connection", "close")
        request.end_headers()

    def _send(self, request: BaseHTTPRequestHandler, content: bytes) -> bool:
        try:
            request.wfile.write(content)
            request.wfile.flush()
        except OSError:
            return False
        self.sent += len(content)
        return True
