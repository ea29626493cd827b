"""C's stderr closed for a while: libmpg123 writes there what it thinks of a file, and nothing tells it not to."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

_SYMBOLS = ("stderr", "__stderrp")
"""What C libraries call the variable."""


class _CStderr:
    """The C library's variable, pointed elsewhere as long as anyone asks for it; Python's own output is untouched."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._variable: ctypes.c_void_p | None = None
        self._kept: int | None = None
        self._nowhere: int | None = None
        library = ctypes.CDLL(None)
        for symbol in _SYMBOLS:
            with contextlib.suppress(ValueError):
                self._variable = ctypes.c_void_p.in_dll(library, symbol)
                break
        if self._variable is not None:
            library.fopen.restype = ctypes.c_void_p
            self._nowhere = library.fopen(os.devnull.encode(), b"w")

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Nothing that C code writes meanwhile is seen."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1 and self._variable is not None and self._nowhere is not None:
                self._kept = self._variable.value
                self._variable.value = self._nowhere

    def _leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._variable is not None and self._kept is not None:
                self._variable.value = self._kept
                self._kept = None


C_STDERR = _CStderr()
