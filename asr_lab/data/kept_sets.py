"""Sets of many utterances as they were read, kept in the cache: the next start over the same files maps them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeVar

import asr_lab
from asr_lab.config.imports import PATH_VARIABLE
from asr_lab.data.cache import cache_root
from asr_lab.data.kept_arrays import Array, KeptArrays, KeptError, read_arrays, write_arrays
from asr_lab.data.packed import Strings

T = TypeVar("T")

FOLDER = "sets"
LEAST = 20_000
"""A set of fewer utterances is read in a second or two, and is not kept."""
MAX_BYTES = 1 << 35
"""Files that take more together are removed, those first that were used longest ago."""
STABLE_NS = 2_000_000_000
"""A file changed less than this before it was looked at may change again with the same time stamp (FAT: 2 s)."""
NUM_THREADS = 8
STAT_CHUNK = 1024
ABSENT = -1
"""The size of a file that is not there."""


class Stamp(NamedTuple):
    """What changes when a file does, or the entries of a folder."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Stamp:
        """That of a file as it is now."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return cls(ABSENT, 0)
        return cls(status.st_size, status.st_mtime_ns)


class OnceWarning(UserWarning):
    """What is true of one start alone, so that the next one does not repeat it."""


def key_of(*parts: object) -> str:
    """The name of what is made from these by the code as it is now."""
    about = json.dumps([*map(str, parts), sys.version]) + code_hash()
    return hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()


@functools.cache
def code_hash() -> str:
    """SHA-256 of the package's modules and those of `ASRLAB_PATH`: whatever changes there may read otherwise."""
    found = hashlib.sha256()
    for folder in (
        Path(asr_lab.__file__).parent,
        *map(Path, filter(None, os.environ.get(PATH_VARIABLE, "").split(os.pathsep))),
    ):
        for path in sorted(folder.rglob("*.py")):
            found.update(f"{path.relative_to(folder)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def kept(key: str) -> KeptArrays | None:
    """What was kept under a key; None where nothing was. A damaged file is told of and made anew."""
    path = _place(key)
    try:
        found = read_arrays(path)
        os.utime(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        warnings.warn(f"{path} cannot be read: {error.strerror}; the data is read anew", stacklevel=2)
        return None
    except KeptError as error:
        warnings.warn(f"{path} is made anew: {error}", stacklevel=2)
        return None
    return found


def keep(key: str, arrays: Mapping[str, Array], rest: Any) -> KeptArrays | None:
    """Keep arrays and a JSON value under a key; what is kept, None where that is not possible, which is told."""
    path = _place(key)
    try:
        _make_room(path.parent, sum(array.nbytes for array in arrays.values()))
        write_arrays(path, arrays, rest)
    except OSError as error:
        warnings.warn(f"{path} cannot be written: {error.strerror}; the next start reads all anew", stacklevel=2)
        return None
    return kept(key)


def stamps_of(paths: Iterable[str], pool: ThreadPoolExecutor) -> Iterator[Stamp]:
    """Those of files as they are now, in order."""
    chunks = _chunks(list(paths))
    for found in pool.map(lambda chunk: [Stamp.of(path) for path in chunk], chunks):
        yield from found


def as_they_were(paths: Strings, sizes: Array, mtimes: Array) -> bool:
    """Whether files have the stamps that they had."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for first in range(0, len(paths), NUM_THREADS * STAT_CHUNK):
            span = slice(first, first + NUM_THREADS * STAT_CHUNK)
            was = map(Stamp, sizes[span].tolist(), mtimes[span].tolist())
            if any(a != b for a, b in zip(was, stamps_of(paths[span], pool), strict=True)):
                return False
    return True


def are_stable(stamps: Iterable[Stamp]) -> bool:
    """Whether no file changed so lately that it may change again with the same stamp."""
    newest_ns = time.time_ns() - STABLE_NS
    return all(stamp.mtime_ns < newest_ns for stamp in stamps)


def with_notes(work: Callable[[], T], notes: list[str]) -> T:
    """What `work` gives; what it warns of is shown as ever, and gathered."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def gather(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, OnceWarning):
                notes.append(str(message))
            show(message, category, filename, lineno, file, line)

        warnings.showwarning = gather
        return work()


def _place(key: str) -> Path:
    return cache_root() / FOLDER / f"{key}.arrays"


def _make_room(folder: Path, num_bytes: int) -> None:
    """Remove what was used longest ago."""
    try:
        found = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in folder.glob("*.arrays"))
    except OSError:  # another process removes some at the same time
        return
    left = sum(size for _, size, _ in found) + num_bytes
    for _, size, path in found:
        if left <= MAX_BYTES:
            break
        path.unlink(missing_ok=True)
        left -= size


def _chunks(paths: Sequence[str]) -> list[Sequence[str]]:
    return [paths[i : i + STAT_CHUNK] for i in range(0, len(paths), STAT_CHUNK)]
