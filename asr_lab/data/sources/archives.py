"""Tar archives as folders: what is in one is read in its place, and a compressed one is made plain once."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import json
import lzma
import os
import secrets
import shutil
import struct
import tarfile
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from asr_lab.audio.file_slice import slice_path
from asr_lab.data.cache import cache_root
from asr_lab.data.kept_sets import OnceWarning
from asr_lab.errors import DataError
from asr_lab.files import real_path, write_text

Unpacked = bz2.BZ2File | lzma.LZMAFile | gzip.GzipFile

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
VERSION = 2
"""Of the kept indexes; one of another version is made anew."""
MAX_TEXT_BYTES = 4 << 20
COPY_BYTES = 1 << 20
SLACK_BYTES = 1 << 26
MAX_RATIO = 200
"""No archive of speech becomes so many times as large; a bomb does."""
FREE_BYTES = 1 << 29
"""What is left free on the disk of the cache."""
DAMAGE = (
    tarfile.TarError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
"""What reading a damaged archive may raise."""


class Member(NamedTuple):
    """Where a file's bytes are in its archive."""

    offset: int
    size: int


class Archive:
    """A tar archive, its files by name; they are read in the archive, which stays as it is.

    DataError for one that is absent, damaged, or no tar archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """As it was given; errors name it."""
        self.tar = plain_tar(path)
        """What is read."""
        self.entries: Sequence[tuple[str, Member]] = _members(self.tar)
        """Its files in their order; a name may be there twice."""
        self.members: Mapping[str, Member] = dict(self.entries)

    def audio(self, name: str) -> str:
        """The path of a recording in it; one that leads nowhere where there is none of this name."""
        member = self.members.get(name)
        if member is None:
            return f"{self.path}/{name}"
        return slice_path(self.tar, member.offset, member.size, name)

    def audio_of(self, name: str, member: Member) -> str:
        """The path of the recording that one of its entries is."""
        return slice_path(self.tar, member.offset, member.size, name)

    def content(self, member: Member) -> bytes:
        """A small file's bytes; ValueError for one above `MAX_TEXT_BYTES`, or that is cut short."""
        if member.size > MAX_TEXT_BYTES:
            raise ValueError(f"holds a text of {member.size:,} bytes")
        with self.tar.open("rb") as file:
            file.seek(member.offset)
            found = file.read(member.size)
        if len(found) != member.size:
            raise ValueError("is cut short")
        return found

    def text_file(self, name: str) -> Path:
        """A text of it as a file of its own, kept in the cache. DataError where it is absent."""
        member = self.members.get(name)
        if member is None:
            raise DataError(f"{self.path} holds no {name}")
        kept = _kept(self.tar, f"{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.txt")
        if kept.is_file() and kept.stat().st_size == member.size:
            return kept
        with self.tar.open("rb") as file, _aside(kept) as aside, aside.open("wb") as out:
            file.seek(member.offset)
            _copy_exactly(file, out, member.size)
        return kept


def find_archive(stem: Path) -> Path | None:
    """The tar archive of this path without ending, the plain one before its compressed forms; None where none is."""
    names = (stem.with_name(stem.name + ending) for ending in (".tar", *COMPRESSED))
    return next((name for name in names if name.is_file()), None)


def plain_tar(archive: Path) -> Path:
    """The archive itself where it is not compressed, else its content, made once and kept in the cache.

    DataError for one that is damaged or becomes larger than any archive of speech does, and for a full disk.
    """
    if not archive.name.endswith(COMPRESSED):
        return archive
    kept = _kept(archive, "plain.tar")
    if kept.is_file():
        return kept
    size = archive.stat().st_size
    warnings.warn(f"{archive} is unpacked once, into {kept.parent}", OnceWarning, stacklevel=2)
    try:
        with _aside(kept) as aside, _opened(archive) as file, aside.open("wb") as out:
            _copy_bounded(file, out, MAX_RATIO * size + SLACK_BYTES, archive)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk
        raise DataError(f"{archive} cannot be unpacked: {_why(error)}; fetch it again") from error
    return kept


def _opened(archive: Path) -> Unpacked:
    if archive.name.endswith(".bz2"):
        return bz2.open(archive, "rb")
    return lzma.open(archive, "rb") if archive.name.endswith(".xz") else gzip.open(archive, "rb")


def _members(tar: Path) -> list[tuple[str, Member]]:
    """Where the files of a plain archive are; kept beside the cache, as a large one takes minutes to go through."""
    try:
        kept = _kept(tar, "index.json")
        if (known := _index_of(kept)) is not None:
            return known
        with tarfile.open(tar, "r:") as file:
            found = [
                (member.name.removeprefix("./"), Member(member.offset_data, member.size))
                for member in file
                if member.isreg() and not member.issparse()
            ]
    except FileNotFoundError:
        raise DataError(f"no such file: {tar}") from None
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(f"{tar} is no whole tar archive: {_why(error)}; fetch it again") from error
    if all(name.isprintable() for name, _ in found):
        rows = [[name, *member] for name, member in found]
        write_text(kept, json.dumps({"version": VERSION, "members": rows}, ensure_ascii=False))
    return found


def _index_of(kept: Path) -> list[tuple[str, Member]] | None:
    """What an index says; None where there is none that can be used."""
    try:
        known: Any = json.loads(kept.read_text(encoding="utf-8"))
        if known["version"] != VERSION:
            return None
        return [(str(name), Member(int(offset), int(size))) for name, offset, size in known["members"]]
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        return None


def _kept(archive: Path, name: str) -> Path:
    """Where something about an archive as it is now is kept. OSError where there is no archive."""
    status = archive.stat()
    about = f"{real_path(archive)}\0{status.st_size}\0{status.st_mtime_ns}"
    key = hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = cache_root() / "archives" / f"{archive.name.split('.')[0][:40]}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A file to be written, which is there under its name once it is whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _copy_exactly(file: IO[bytes], out: IO[bytes], count: int) -> None:
    for part in _parts(file, count):
        out.write(part)


def _parts(file: IO[bytes], count: int) -> Iterator[bytes]:
    while count > 0 and (part := file.read(min(count, COPY_BYTES))):
        count -= len(part)
        yield part


def _copy_bounded(file: Unpacked, out: IO[bytes], most: int, archive: Path) -> None:
    written = 0
    while part := file.read(COPY_BYTES):
        written += len(part)
        if written > most:
            raise DataError(
                f"{archive} becomes more than {most:,} bytes, more than any archive of speech; not unpacked"
            )
        if written % (64 * COPY_BYTES) < COPY_BYTES and shutil.disk_usage(os.path.dirname(out.name)).free < FREE_BYTES:
            raise DataError(f"{archive}: no room to unpack it in {cache_root()}; set ASRLAB_CACHE to a larger disk")
        out.write(part)


def _why(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)[:200]
