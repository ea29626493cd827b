"""Archives from elsewhere, unpacked so that nothing is written outside the folder, and no more than is plausible."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import attrs

from asr_lab.data.sources.archives import DAMAGE
from asr_lab.errors import DataError

COPY_BYTES = 1 << 20
FREE_BYTES = 1 << 29
"""What is left free on the disk."""
CHECK_BYTES = 1 << 28
ZIPS = (".zip",)


@attrs.frozen
class Bounds:
    """How much may come out of an archive."""

    ratio: int = 200
    """Times its own size."""
    slack_bytes: int = 1 << 26
    """Beyond that, for small ones."""
    files: int = 5_000_000
    path_bytes: int = 1024


def unpack(
    archive: Path,
    folder: Path,
    *,
    bounds: Bounds = Bounds(),
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Unpack a tar archive, compressed or not, or a zip, into a folder that is made.

    Files and folders alone are written, under paths within the folder; a link to a file of the archive becomes a second
    name of that file, so that no link is ever followed. DataError for an archive that holds anything else, becomes
    too large or is damaged; what was written till then is there. `progress` is told of the bytes that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    out = _Out(archive, folder, bounds, progress)
    try:
        if archive.name.endswith(ZIPS):
            with zipfile.ZipFile(archive) as zipped:
                for info in zipped.infolist():
                    _unzip(zipped, info, out)
        else:
            with tarfile.open(archive, "r:*") as tar:
                for member in tar:
                    _untar(tar, member, out)
        out.link()
    except (*DAMAGE, zipfile.BadZipFile, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk
        raise DataError(f"{archive} is damaged or no archive: {str(error)[:200] or type(error).__name__}") from error


def merge(source: Path, target: Path) -> None:
    """Move what a folder holds into another one of the same disk; files there give way to those of their name."""
    if not target.exists():  # at once, so that what is there is whole
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        return
    for path in sorted(source.iterdir()):
        there = target / path.name
        if path.is_dir() and there.is_dir():
            merge(path, there)
        else:
            path.replace(there)


class _Out:
    """What is written of an archive, and whether it still may."""

    def __init__(self, archive: Path, folder: Path, bounds: Bounds, progress: Callable[[int], None]) -> None:
        self.archive, self.folder, self.bounds, self.progress = archive, folder, bounds, progress
        self.most = bounds.ratio * archive.stat().st_size + bounds.slack_bytes
        self.written = self.num_files = self._checked = 0
        self._links: list[tuple[str, str]] = []

    def path(self, name: str) -> Path:
        """Where a member goes; DataError for one that leads elsewhere."""
        self.num_files += 1
        if self.num_files > self.bounds.files:
            raise self._refused(f"more than {self.bounds.files:,} files")
        path = PurePosixPath(name)
        parts = [part for part in path.parts if part != "."]
        length = len(name.encode("utf-8", "surrogateescape"))
        if path.is_absolute() or ".." in parts or "\0" in name or "\\" in name or length > self.bounds.path_bytes:
            raise self._refused(f"the path {name[:80]!r}, which leads out of its folder or is none")
        return self.folder.joinpath(*parts)

    def file(self, name: str, content: IO[bytes]) -> None:
        """Write a file."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise self._refused(f"both a folder and a file called {name[:80]!r}")
        path.unlink(missing_ok=True)  # one of the archive's own, written before
        with path.open("xb") as out:
            for piece in self._pieces(content):
                out.write(piece)

    def directory(self, name: str) -> None:
        """Make a folder."""
        self.path(name).mkdir(parents=True, exist_ok=True)

    def linked(self, name: str, to: str) -> None:
        """Note a link, which is made once all files are there."""
        self.path(name)
        self._links.append((name, to))

    def link(self) -> None:
        """Make the second names of files."""
        for name, to in self._links:
            file, path = self.path(to), self.path(name)
            if not file.is_file():
                raise self._refused(f"a link from {name[:80]!r} to {to[:80]!r}, which is no file of it")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path != file:
                path.unlink(missing_ok=True)
                os.link(file, path)

    def refuse(self, name: str, what: str) -> DataError:
        """The error for a member that is not written."""
        return self._refused(f"{what} called {name[:80]!r}")

    def _pieces(self, content: IO[bytes]) -> Iterator[bytes]:
        while piece := content.read(COPY_BYTES):
            self.written += len(piece)
            self._checked += len(piece)
            if self.written > self.most:
                raise self._refused(f"more than {self.most:,} bytes, too many for its size")
            if self._checked >= CHECK_BYTES:
                self._checked = 0
                if shutil.disk_usage(self.folder).free < FREE_BYTES:
                    raise DataError(f"{self.archive}: no room to unpack it in {self.folder.parent}; free some space")
            self.progress(self.written)
            yield piece

    def _refused(self, what: str) -> DataError:
        return DataError(f"{self.archive} holds {what}; it is not unpacked")


def _untar(tar: tarfile.TarFile, member: tarfile.TarInfo, out: _Out) -> None:
    if member.isdir():
        out.directory(member.name)
    elif member.isreg() and not member.issparse():
        content = tar.extractfile(member)
        assert content is not None
        out.file(member.name, content)
    elif member.islnk():
        out.linked(member.name, member.linkname)
    elif member.issym():
        if member.linkname.startswith("/"):
            raise out.refuse(member.name, "a link out of its folder")
        out.linked(member.name, _within(PurePosixPath(member.name).parent, member.linkname))
    else:
        raise out.refuse(member.name, "a device, a pipe or a sparse file")


def _within(folder: PurePosixPath, name: str) -> str:
    """A relative link's target from the archive's root, its `..` taken; one that leads out keeps them."""
    return os.path.normpath(str(folder / name))


def _unzip(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, out: _Out) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir():
        out.directory(info.filename)
    elif kind not in (0, stat.S_IFREG):
        raise out.refuse(info.filename, "a link or a device")
    elif info.flag_bits & 1:
        raise out.refuse(info.filename, "an encrypted file")
    else:
        with zipped.open(info) as content:
            out.file(info.filename, content)
