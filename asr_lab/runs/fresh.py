"""Folders made beside their place and renamed when they are whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from asr_lab.runs.lock import process_started


@contextlib.contextmanager
def fresh_folder(parent: Path, name: str) -> Iterator[Path]:
    """An empty folder in `parent` to be renamed; gone afterwards if it was not, as is what killed processes left."""
    parent.mkdir(parents=True, exist_ok=True)
    aside = f".{name[-60:]}.{socket.gethostname()[:60]}."
    for path in parent.iterdir():
        pid = path.name.removeprefix(aside).removesuffix(".new")
        if path.name == f"{aside}{pid}.new" and pid.isdecimal() and process_started(int(pid)) is None:
            shutil.rmtree(path, ignore_errors=True)
    fresh = parent / f"{aside}{os.getpid()}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
