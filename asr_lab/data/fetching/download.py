"""One file over HTTP to the last byte, whatever the server and the network do on the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from asr_lab.errors import DataError
from asr_lab.files import write_json

Progress = Callable[[int, int | None], None]
"""Told of the bytes that are there, and of all, where their number is known."""

READ_BYTES = 1 << 16
GAIN_BYTES = 1 << 16
"""An attempt that brought no more than this counts as one that failed."""
FREE_BYTES = 1 << 29
"""What is left free on the disk."""
CHECK_BYTES = 1 << 28
"""So often the disk is looked at."""
MAX_BYTES = 1 << 43
"""No published archive is larger."""
MAX_LIST_BYTES = 1 << 24
FINAL = (400, 401, 403, 404, 405, 406, 410, 451)
"""What a server answers that it will answer again."""


@attrs.frozen
class Patience:
    """How long a server is given."""

    attempts: int = 8
    """In a row without progress."""
    stall_s: float = 30.0
    """Without a byte, or with fewer than `least_bytes`."""
    least_bytes: int = 1024
    pause_s: float = 1.0
    """Before the second attempt, twice as long before each next one."""
    longest_pause_s: float = 60.0


@attrs.define
class _State:
    """What is known of the file that is being fetched; kept beside it."""

    url: str
    validator: str = ""
    """Its strong entity tag, or when it was changed."""
    total: int | None = None


class _Again(Exception):  # noqa: N818 - a turn of the loop
    """The attempt failed; another may not."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        self.why, self.wait_s = why, wait_s
        super().__init__(why)


def download(
    url: str,
    target: Path,
    *,
    num_bytes: int | None = None,
    is_checked: bool = False,
    patience: Patience = Patience(),
    progress: Progress = lambda done, total: None,
) -> None:
    """Fetch a file, going on with what an earlier call left in `target` with `.part` behind its name.

    `num_bytes` is the published size. `is_checked`: a checksum will tell two versions apart, so that one without a mark
    of its version may be gone on with. DataError, saying what to do, for what cannot be had.
    """
    fetch = _Fetch(url, target, num_bytes, is_checked, patience, progress)
    failed, most = 0, fetch.have
    while not fetch.is_whole():
        try:
            fetch.attempt()
            continue
        except _Again as error:
            # What was had before and thrown away is no progress.
            failed = 1 if fetch.have > most + GAIN_BYTES else failed + 1
            most = max(most, fetch.have)
            if failed >= patience.attempts:
                raise DataError(
                    f"{url} could not be fetched: {error.why}, {failed} times in a row; {fetch.have:,} bytes are kept. "
                    "Try again later, or another mirror: --mirror URL"
                ) from None
            pause_s = patience.pause_s * 2 ** (failed - 1)
            time.sleep(min(max(pause_s, error.wait_s), patience.longest_pause_s))
    fetch.finish()


def read_list(url: str, patience: Patience = Patience()) -> str:
    """A short text, a list of checksums. DataError where it cannot be had."""
    failed = 0
    while True:
        try:
            with _response(url, {}, patience) as response:
                if response.status in FINAL:
                    raise DataError(f"{url} answers {response.status} {response.reason}")
                if response.status != 200:
                    raise _Again(f"it answers {response.status}")
                content = b"".join(_limited(response, MAX_LIST_BYTES, url, patience))
                return content.decode("utf-8", "replace")
        except _Again as error:
            failed += 1
            if failed >= patience.attempts:
                raise DataError(f"{url} could not be fetched: {error.why}") from None
            time.sleep(min(patience.pause_s * 2 ** (failed - 1), patience.longest_pause_s))


class _Fetch:
    """A file on its way."""

    def __init__(
        self, url: str, target: Path, num_bytes: int | None, is_checked: bool, patience: Patience, progress: Progress
    ) -> None:
        self.url, self.target, self.patience, self.progress = url, target, patience, progress
        self.is_checked = is_checked
        self.num_bytes = num_bytes
        self.part = target.with_name(f"{target.name}.part")
        self.notes = target.with_name(f"{target.name}.part.json")
        self.state = self._state()
        self.have = self.part.stat().st_size if self.part.exists() else 0
        self._ended = False

    def is_whole(self) -> bool:
        """Whether its last byte is there."""
        total = self.num_bytes if self.num_bytes is not None else self.state.total
        if total is not None and self.have > total:
            self._restart()
        return self._ended or (total is not None and self.have == total and self.have > 0)

    def finish(self) -> None:
        """Give it its name."""
        with self.part.open("rb") as file:
            os.fsync(file.fileno())
        self.part.replace(self.target)
        self.notes.unlink(missing_ok=True)

    def attempt(self) -> None:
        """One request, and all that comes of it. _Again where another may bring more."""
        if self.have and not (self.state.validator or self.is_checked):
            self._restart()
        headers = {"Range": f"bytes={self.have}-"} if self.have else {}
        if self.have and self.state.validator:
            headers["If-Range"] = self.state.validator
        with _response(self.url, headers, self.patience) as response:
            self._check(response)
            mode = "ab" if response.status == 206 else "wb"
            promised = self.state.total
            with self.part.open(mode) as out:
                self.have = out.tell()
                self.progress(self.have, promised)
                for piece in self._pieces(response):
                    out.write(piece)
                    self.have += len(piece)
                    self.progress(self.have, promised)
        if promised is None:
            self._ended = self.have > 0  # the server told no length; a checksum tells the rest
        elif self.have < promised:
            raise _Again(f"it sent {self.have:,} of the {promised:,} bytes that it promises")

    def _check(self, response: Any) -> None:
        """What the answer's head says, against what is known."""
        status = response.status
        if status in FINAL:
            raise DataError(f"{self.url} answers {status} {response.reason}; another mirror may have it: --mirror URL")
        if status == 416:
            self._restart()
            raise _Again("it has no more bytes, though more are missing")
        if status not in (200, 206):
            raise _Again(f"it answers {status} {response.reason}", _wait_s(response))
        if "text/html" in (response.headers.get("Content-Type") or ""):
            raise DataError(f"{self.url} sends a web page, not the file; open it in a browser to see what it asks")
        total = _total(response)
        if status == 206 and not self._goes_on(response, total):
            self._restart()
            raise _Again("it went on with another place or another version")
        if self.num_bytes is not None and total is not None and total != self.num_bytes:
            sizes = f"{total:,} bytes there, {self.num_bytes:,} are published"
            raise DataError(f"{self.url} is another file: it has {sizes}; try another mirror: --mirror URL")
        needed = (total if total is not None else self.num_bytes or 0) - (self.have if status == 206 else 0)
        self._check_room(needed)
        if status == 200:
            self.state = _State(self.url, _validator(response), total)
            write_json(self.notes, attrs.asdict(self.state))

    def _goes_on(self, response: Any, total: int | None) -> bool:
        found = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range") or "")
        same = self.state.total is None or total is None or total == self.state.total
        return found is not None and int(found[1]) == self.have and same

    def _pieces(self, response: Any) -> Iterator[bytes]:
        most = self.num_bytes if self.num_bytes is not None else self.state.total
        left = (MAX_BYTES if most is None else most) - self.have
        checked = 0
        for piece in _limited(response, left, self.url, self.patience):
            checked += len(piece)
            if checked >= CHECK_BYTES:
                checked = 0
                self._check_room(0)
            yield piece

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if free < needed + FREE_BYTES:
            raise DataError(
                f"{self.target.name} needs {needed / 1e9:.1f} GB more, and {self.part.parent} has {free / 1e9:.1f} GB "
                "free; set ASRLAB_DATA to a larger disk, or take fewer parts: --only"
            )

    def _restart(self) -> None:
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)
        self.have, self.state, self._ended = 0, _State(self.url), False

    def _state(self) -> _State:
        """What an earlier call noted; a file of another address, or without notes, is begun anew."""
        try:
            known = json.loads(self.notes.read_text(encoding="utf-8"))
            total = known["total"]
            if known["url"] == self.url and (total is None or type(total) is int):
                return _State(self.url, str(known["validator"]), total)
        except (OSError, ValueError, RecursionError, TypeError, KeyError):
            pass
        self.part.unlink(missing_ok=True)
        return _State(self.url)


class _response:  # noqa: N801 - used as a function
    """The answer to a request, closed at the end; what the network does is `_Again`."""

    def __init__(self, url: str, headers: dict[str, str], patience: Patience) -> None:
        self.url, self.headers, self.patience = url, headers, patience

    def __enter__(self) -> Any:
        import urllib3

        limits = urllib3.Timeout(connect=self.patience.stall_s, read=self.patience.stall_s)
        retries = urllib3.Retry(0, redirect=8, connect=0, read=0, status=0)
        self.pool = _pool(self.url)
        try:
            self.response = self.pool.request(
                "GET",
                self.url,
                headers={"Accept-Encoding": "identity", "User-Agent": "asrlab", **self.headers},
                preload_content=False,
                decode_content=False,
                timeout=limits,
                retries=retries,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _Again(_why(error)) from error
        return self.response

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        import urllib3

        self.response.close()
        self.pool.clear()
        if isinstance(error, urllib3.exceptions.HTTPError | TimeoutError | ConnectionError):
            raise _Again(_why(error)) from error


def _pool(url: str) -> Any:
    """Connections to a host, through the proxy that the environment names."""
    import urllib3

    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def _limited(response: Any, most: int, url: str, patience: Patience) -> Iterator[bytes]:
    """The body as it comes; DataError where it is longer, _Again where it hardly comes."""
    began, got, total = time.monotonic(), 0, 0
    while piece := response.read1(READ_BYTES):
        got, total = got + len(piece), total + len(piece)
        if total > most:
            raise DataError(
                f"{url} sends more than the {most:,} bytes that it should; try another mirror: --mirror URL"
            )
        yield piece
        if (now := time.monotonic()) - began > patience.stall_s:
            if got < patience.least_bytes:
                raise _Again(f"it sent {got} bytes in {now - began:.0f} s")
            began, got = now, 0


def _total(response: Any) -> int | None:
    """The whole file's length as the answer's head tells it."""
    if response.status == 206:
        found = re.search(r"/(\d{1,18})$", response.headers.get("Content-Range") or "")
        return int(found[1]) if found else None
    length = response.headers.get("Content-Length") or ""
    return int(length) if re.fullmatch(r"\d{1,18}", length) else None


def _validator(response: Any) -> str:
    """What tells this version from another: a strong entity tag, else when it was changed."""
    tag = str(response.headers.get("ETag") or "")
    return tag if tag.startswith('"') else str(response.headers.get("Last-Modified") or "")


def _wait_s(response: Any) -> float:
    text = response.headers.get("Retry-After") or ""
    return float(text) if re.fullmatch(r"\d{1,6}", text) else 0.0


def _why(error: BaseException) -> str:
    import urllib3

    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        return _why(error.reason)
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return "it does not answer in time"
    return re.sub(r"<[^<>]*>[:,]?\s*", "", str(error))[:200] or type(error).__name__
