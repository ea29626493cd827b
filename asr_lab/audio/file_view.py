"""A file as a decoder is shown it: stretches of it after one another, with other bytes between."""

from __future__ import annotations

import io
import os
import stat
from bisect import bisect_right
from itertools import accumulate

from asr_lab.audio.containers.layout import Piece
from asr_lab.audio.file_slice import FileRow, FileSlice, part_of


class OpenFile:
    """A regular file, or a slice of one, that is read anywhere; close it, or use it in a `with`.

    OSError where it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        part = part_of(path)
        self._content: bytes | None = None
        # Without waiting: the other end of a named pipe may never come.
        self.descriptor = os.open(os.fsencode(part.path if part else path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(self.descriptor)
            self.is_regular = stat.S_ISREG(status.st_mode)
            self.is_slice = part is not None
            self._first = part.offset if isinstance(part, FileSlice) else 0
            self.size = max(0, min(part.size, status.st_size - self._first)) if part else status.st_size
            if isinstance(part, FileRow) and self.is_regular:
                from asr_lab.audio.parquet_rows import ROW_GROUPS

                self._content = ROW_GROUPS.value(part)
                self.size = len(self._content)
        except BaseException:
            os.close(self.descriptor)
            raise

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on."""
        if offset >= self.size:
            return b""
        if self._content is not None:
            return self._content[offset : offset + max(0, count)]
        return os.pread(self.descriptor, max(0, min(count, self.size - offset)), self._first + offset)

    def close(self) -> None:
        os.close(self.descriptor)

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FileView:
    """Pieces of a file as one file that can be read and sought in."""

    def __init__(self, file: OpenFile, pieces: tuple[Piece, ...]) -> None:
        self._file, self._pieces = file, pieces
        lengths = [len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces]
        self._ends = list(accumulate(lengths))
        self._size = self._ends[-1] if self._ends else 0
        self._position = 0
        self.error: OSError | None = None
        """What reading met: an exception would be lost in the decoder's C code."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def read(self, count: int) -> bytes:
        """At most `count` bytes; none at the end."""
        if len(self._pieces) == 1 and not isinstance(piece := self._pieces[0], bytes):
            return self._from_file(piece[0] + self._position, min(count, self._size - self._position))
        found = io.BytesIO()
        while count > 0 and self._position < self._size:
            number = bisect_right(self._ends, self._position)
            piece, left = self._pieces[number], self._ends[number] - self._position
            wanted = min(count, left)
            if isinstance(piece, bytes):
                content = piece[len(piece) - left :][:wanted]
                self._position += len(content)
            else:
                content = self._from_file(piece[1] - left, wanted)
            if not content:
                break
            found.write(content)
            count -= len(content)
        return found.getvalue()

    def _from_file(self, offset: int, count: int) -> bytes:
        try:
            content = self._file.read(offset, count)
        except OSError as error:
            self.error = error
            return b""
        self._position += len(content)
        return content
