"""A hash of what data is, so that a run knows when it changed."""

from __future__ import annotations

import hashlib


class Fingerprint:
    """SHA-256 over a sequence of records; order counts."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, *values: str | int | float | None) -> None:
        """Add a record."""
        line = "\x1f".join("" if v is None else repr(v) for v in values)
        self._hash.update(line.encode("utf-8", "backslashreplace") + b"\x1e")

    def hexdigest(self) -> str:
        """The hash so far, hexadecimal."""
        return self._hash.hexdigest()
