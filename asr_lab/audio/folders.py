"""Recordings in folders: which files are audio, and every folder below one, links followed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from asr_lab.errors import DataError

ENDINGS = (".flac", ".wav", ".ogg", ".opus", ".oga", ".mp3", ".sph", ".aiff", ".aif", ".au")
"""Those of recordings; of several that differ in nothing else the first in this order is read."""
SIDECAR = "._"
"""What macOS begins the names of its own notes with (AppleDouble); they end like the files that they are about."""


def is_audio(name: str | os.PathLike[str]) -> bool:
    """Whether a file's name is a recording's."""
    base = os.path.basename(os.fspath(name))
    return os.path.splitext(base)[1].lower() in ENDINGS and not base.startswith(SIDECAR)


def audio_files(folder: Path) -> list[Path]:
    """All recordings below a folder, sorted; none where there is no such folder. DataError as from `walk`."""
    if not folder.is_dir():
        return []
    return sorted(Path(parent, name) for parent, names in walk(folder) for name in names if is_audio(name))


def walk(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A folder and each one below it with the names of its files; links are followed.

    DataError for a link to a folder that it lies in, which would never end, and for one that cannot be listed.
    """
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(os.fspath(folder), frozenset())]
    while waiting:
        path, above = waiting.pop()
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in above:
                raise DataError(_loop(path))
            folders, files = _listed(path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise DataError(_loop(os.fsdecode(error.filename))) from error
            raise DataError(f"{path} cannot be listed: {error.strerror}") from error
        yield path, files
        within = above | {(status.st_dev, status.st_ino)}
        waiting += [(os.path.join(path, name), within) for name in sorted(folders, reverse=True)]


def _listed(path: str) -> tuple[list[str], list[str]]:
    """The names of folders, and of everything else."""
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            (folders if entry.is_dir() else files).append(entry.name)
    return folders, files


def _loop(path: str) -> str:
    return f"{path} is a link that leads back to itself (to {os.readlink(path)}); remove it"
