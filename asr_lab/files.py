"""Small files that other processes read while they are written: they appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Replace a file's content at once: readers see the old text or the new, never half of it."""
    temporary = _write_aside(path, text)
    temporary.replace(path)


def create_text(path: Path, text: str) -> bool:
    """Create a file with all its content; False when it exists. `link` is atomic on network file systems too."""
    temporary = _write_aside(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def _write_aside(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary
