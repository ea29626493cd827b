"""A checkpoint's folder while it is written: under a temporary name, until everything in it is on the disk."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

from asr_lab.files import is_leftover, sync

STATE, CHECKSUMS = "state.json", "checksums.json"
_TEMPORARY = ".writing-"
_REPLACED = ".replaced-"

Sums = dict[str, dict[str, Any]]
"""Each file's size (`bytes`) and `sha256`, by name."""


@attrs.frozen
class Unfinished:
    """Where the files of a checkpoint are written; a kill at any instant leaves all of it or nothing by its name."""

    folder: Path
    """What it will be called."""
    token: str
    """What tells this write from others: processes that write together know it from the one that began."""

    @classmethod
    def begin(cls, folder: Path) -> Unfinished:
        """Make the temporary folder. OSError where the disk refuses."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        begun = cls(folder, f"{os.getpid()}-{secrets.token_hex(4)}")
        begun.path.mkdir()
        return begun

    @property
    def path(self) -> Path:
        """The temporary folder."""
        return self.folder.parent / f"{_TEMPORARY}{self.folder.name}-{self.token}"

    def finish(self, state: Mapping[str, Any], sums: Sums) -> None:
        """Write the state, then the checksums of all files, and give the folder its name, in the place of another's.

        The files that are named in `sums` are on the disk by now. OSError where the disk refuses.
        """
        written = self.path / STATE
        written.write_text(json.dumps(state, indent=1, allow_nan=True))
        listed = self.path / CHECKSUMS
        listed.write_text(json.dumps({**sums, STATE: synced_sum(written)}, indent=1))
        for path in (listed, self.path):
            sync(path)
        replaced = self.folder.parent / f"{_REPLACED}{self.folder.name}-{self.token}"
        if self.folder.exists():
            os.rename(self.folder, replaced)
        os.rename(self.path, self.folder)
        sync(self.folder.parent)
        shutil.rmtree(replaced, ignore_errors=True)

    def discard(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.path, ignore_errors=True)


def synced_sum(path: Path) -> dict[str, Any]:
    """Put a file on the disk, and take its checksum meanwhile; its size and checksum."""
    with ThreadPoolExecutor(1) as pool:
        synced = pool.submit(sync, path)
        found = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        synced.result()
    return found


def sha256_of(path: Path) -> str:
    """A file's SHA-256, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put_aside(folder: Path) -> Path:
    """Take a checkpoint's name from it, in one step; the name it has then. FileNotFoundError where it is gone."""
    aside = folder.parent / f"{_REPLACED}{folder.name}-{os.getpid()}-{secrets.token_hex(4)}"
    os.rename(folder, aside)
    return aside


def is_being_written(name: str) -> bool:
    """Whether a folder's name is that of a checkpoint under way, or of one whose writing was killed."""
    return name.startswith(_TEMPORARY)


def is_unfinished(path: Path) -> bool:
    """Whether it is what a write leaves behind when it is killed, or one that is under way."""
    return path.name.startswith((_TEMPORARY, _REPLACED)) or is_leftover(path)
