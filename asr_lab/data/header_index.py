"""What audio files are, kept between starts: one over many files opens only the new and the changed ones."""

from __future__ import annotations

import os
import stat
import struct
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

from asr_lab.audio.file_slice import FileSlice, part_of
from asr_lab.audio.reading import AudioError, AudioInfo, read_info
from asr_lab.errors import count_of

try:
    import sqlite3
except ImportError:  # a Python that was built where SQLite's headers were absent
    sqlite3 = None  # type: ignore[assignment]

T = TypeVar("T")

NAME = "headers.sqlite"
VERSION = 2
"""Raised whenever the table changes; one of another version is made anew."""
BLOCK = 4096
"""Files that are looked up, read and stored together: what a kill loses, and how long the index is locked."""
STAT_CHUNK = 64
HEADER_CHUNK = 16
"""Files that a thread takes at once; one at a time, handing them over would take ten times as long as a stat."""
LOOK_UP_CHUNK = 500
"""Keys in one query; SQLite allows at least 999."""
TIMEOUT_S = 10.0
"""How long another process may hold the index before this one goes on without it."""
STABLE_NS = 2_000_000_000
"""A file changed less than this before it was looked at may change again with the same time stamp (FAT: 2 s)."""
MAX_BYTES = 1 << 30
"""An index that grows above this, about nine million files, is emptied."""
MAX_NOTES = 5
"""Notes on single files; more are counted."""
MAX_FIELD_BYTES = 1 << 16
"""Longer ones are damage: no file's path is so long."""
DAMAGE = frozenset((1, 11, 18, 26))
"""SQLite's codes for a file that is no index of ours: ERROR (no such table), CORRUPT, TOOBIG, NOTADB."""

# `content` is the fingerprint of what a file holds.
TABLE = """CREATE TABLE headers (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sample_rate INTEGER, num_samples INTEGER,
    num_channels INTEGER, content BLOB, row_check INTEGER
) WITHOUT ROWID"""
SELECT = "SELECT path, content, row_check, size, mtime_ns, sample_rate, num_samples, num_channels FROM headers"
INSERT = (
    "INSERT OR REPLACE INTO headers (path, content, row_check, size, mtime_ns, sample_rate, num_samples, num_channels) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_NUMBERS = struct.Struct("<5q")


class _Stamp(NamedTuple):
    """What changes when a file does."""

    key: bytes
    """Its absolute path as the file system has it."""
    size: int
    mtime_ns: int


class HeaderIndex:
    """What `read_info` says of audio files, by path, size and time of change, in an SQLite file in `folder`.

    A file that changes and keeps both is not noticed.

    Any number of processes may use one file at once and be killed at any time: they only lock it for the moments in
    which a block is looked up or stored. An index that is damaged or of another version is made anew; one that
    cannot be used (locked for long, not writable, a full disk) is warned of once, and headers are read from their
    files. Each row carries a checksum, so that damage which SQLite does not see is no answer either.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / NAME
        self._reads = self._writes = True
        self._renewed = False
        self._num_notes = 0
        if sqlite3 is None:
            self._reads = self._writes = False
            warnings.warn("this Python has no sqlite3: every start reads all audio headers anew", stacklevel=2)

    def read(self, paths: Sequence[str], pool: Executor) -> dict[str, AudioInfo | AudioError]:
        """The header of each file, or why it is refused, as `read_info` says.

        A file that is in the index, and has the size and time of change that it had then, is not opened; whether it
        may still be read shows later. Refusals are not kept: what is absent or broken is looked at again each time.
        """
        infos: dict[str, AudioInfo | AudioError] = {}
        for start in range(0, len(paths), BLOCK):
            infos.update(self._read_block(paths[start : start + BLOCK], pool))
        return infos

    def _read_block(self, paths: Sequence[str], pool: Executor) -> dict[str, AudioInfo | AudioError]:
        stable_ns = time.time_ns() - STABLE_NS
        stamps = dict(zip(paths, _spread(pool, _stamps, paths, STAT_CHUNK), strict=True)) if self._reads else {}
        known = self._look_up([s for s in stamps.values() if s])
        infos: dict[str, AudioInfo | AudioError] = {}
        for path, stamp in stamps.items():
            if stamp and (info := known.get(stamp.key)):
                infos[path] = info
        unknown = [p for p in paths if p not in infos]
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            read = dict(zip(unknown, _spread(pool, _headers, unknown, HEADER_CHUNK), strict=True))
        self._say([str(note.message) for note in notes])
        new = ((stamp, read[path]) for path in read if (stamp := stamps.get(path)) and stamp.mtime_ns < stable_ns)
        # One that grew in between is stored the next time.
        self._store([(s, i) for s, i in new if isinstance(i, AudioInfo) and i.num_bytes == s.size])
        return {**infos, **read}

    def _say(self, notes: Sequence[str]) -> None:
        """What is odd about files that were read all the same: the first few of them, and how many there are."""
        for note in notes[: max(0, MAX_NOTES - self._num_notes)]:
            warnings.warn(note, stacklevel=2)
        self._num_notes += len(notes)
        if notes and self._num_notes > MAX_NOTES:
            warnings.warn(
                f"{count_of(self._num_notes, 'audio file')} odd in some way, and read all the same", stacklevel=2
            )

    def _look_up(self, stamps: Sequence[_Stamp]) -> dict[bytes, AudioInfo]:
        """What the index knows of files as they are now, by key."""
        found: dict[bytes, AudioInfo] = {}
        wanted = {s.key: s for s in stamps}
        keys = list(wanted)

        def look_up(index: sqlite3.Connection) -> None:
            index.execute("BEGIN")  # so that the version is that of what is read
            if _version(index) != VERSION:
                return
            for start in range(0, len(keys), LOOK_UP_CHUNK):
                chunk = keys[start : start + LOOK_UP_CHUNK]
                for row in index.execute(f"{SELECT} WHERE path IN ({','.join('?' * len(chunk))})", chunk):
                    key, content, _, size, mtime_ns, rate, num_samples, num_channels = row
                    stamp = wanted.get(key)
                    if stamp and size == stamp.size and mtime_ns == stamp.mtime_ns and _whole(*row):
                        found[key] = AudioInfo(rate, num_samples, num_channels, size, content)

        if self._reads and keys and not self._tried(look_up, "read"):
            self._reads = False
        return found

    def _store(self, read: Sequence[tuple[_Stamp, AudioInfo]]) -> None:
        rows = []
        for stamp, info in read:
            numbers = (stamp.size, stamp.mtime_ns, info.sample_rate, info.num_samples, info.num_channels)
            rows.append((stamp.key, info.content, _row_check(stamp.key, info.content, *numbers), *numbers))

        def store(index: sqlite3.Connection) -> None:
            index.execute("BEGIN IMMEDIATE")
            if _version(index) != VERSION or _num_bytes(index) > MAX_BYTES:
                index.execute("DROP TABLE IF EXISTS headers")
                index.execute(TABLE)
                index.execute(f"PRAGMA user_version = {VERSION}")
            index.executemany(INSERT, rows)
            index.execute("COMMIT")

        if self._reads and self._writes and rows and not self._tried(store, "written"):
            self._writes = False

    def _tried(self, work: Callable[[sqlite3.Connection], None], done: str) -> bool:
        """Whether the index may be asked again after `work` on it; a warning where something went wrong."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.file, timeout=TIMEOUT_S, isolation_level=None)) as index:
                index.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_FIELD_BYTES)
                work(index)
        except (sqlite3.Error, OSError, UnicodeDecodeError, MemoryError) as error:
            # A damaged schema may end up in SQLite's message, which Python then cannot decode.
            code = 0 if isinstance(error, OSError) else getattr(error, "sqlite_errorcode", None) or 1
            of = f"the index of audio headers {self.file}"
            if code & 0xFF in DAMAGE and not self._renewed and self._remove():
                self._renewed = True
                warnings.warn(f"{of} was damaged and is made anew: {error}", stacklevel=2)
                return True
            warnings.warn(f"{of} cannot be {done}: {error}; this start does without", stacklevel=2)
            return False
        return True

    def _remove(self) -> bool:
        try:
            self.file.unlink(missing_ok=True)
            self.file.with_name(f"{NAME}-journal").unlink(missing_ok=True)
        except OSError:
            return False
        return True


def _spread(pool: Executor, work: Callable[[Sequence[str]], list[T]], paths: Sequence[str], chunk: int) -> Iterator[T]:
    """What `work` gives for each path, in order; threads take so many paths at once."""
    for done in pool.map(work, [paths[i : i + chunk] for i in range(0, len(paths), chunk)]):
        yield from done


def _stamps(paths: Sequence[str]) -> list[_Stamp | None]:
    """Those of files that may have a header; `read_info` says what is wrong with the others."""
    stamps: list[_Stamp | None] = []
    for path in paths:
        part = part_of(path)
        try:
            status = os.stat(part.path if part else path)
            key = os.fsencode(path if path.startswith("/") else os.path.join(os.getcwd(), path))
        except (OSError, ValueError):
            stamps.append(None)
            continue
        regular = stat.S_ISREG(status.st_mode)
        size = part.size if part else status.st_size
        if isinstance(part, FileSlice):
            size = min(size, max(0, status.st_size - part.offset))
        stamps.append(_Stamp(key, size, status.st_mtime_ns) if regular and size else None)
    return stamps


def _headers(paths: Sequence[str]) -> list[AudioInfo | AudioError]:
    infos: list[AudioInfo | AudioError] = []
    for path in paths:
        try:
            infos.append(read_info(path))
        except AudioError as error:
            infos.append(error)
    return infos


def _version(index: sqlite3.Connection) -> int:
    (version,) = index.execute("PRAGMA user_version").fetchone()
    return int(version)


def _num_bytes(index: sqlite3.Connection) -> int:
    """What the rows take; an emptied file keeps its length for new ones."""
    pages, free, page_bytes = (
        index.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * page_bytes)


def _whole(key: bytes, content: bytes | None, row_check: int, *numbers: int) -> bool:
    """Whether a row is as it was written."""
    try:
        return row_check == _row_check(key, content, *numbers)
    except (TypeError, struct.error):  # a damaged value may be of any type
        return False


def _row_check(key: bytes, content: bytes | None, *numbers: int) -> int:
    return zlib.crc32(_NUMBERS.pack(*numbers), zlib.crc32(content or b"", zlib.crc32(key)))
