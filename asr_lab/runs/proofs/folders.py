"""Folders under the runs for the runs of a proof, kept only where there is something to look at."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path


def new_folder(parent: Path, name: str) -> Path:
    """An empty folder of its own, `parent/<name>-…`."""
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, and its parent where that was the last one there."""
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
