"""Text files of users line by line: one place for encodings, line ends, and lines of any length."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from asr_lab.errors import DataError

MAX_LINE_BYTES = 4 * 2**20
"""A longer line is no row: a JSON value of so many bytes takes up to fifty times as much when it is read."""
LOOK_BYTES = 512
"""Enough of a file's start to tell UTF-16."""
WIDE = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextLine(NamedTuple):
    """A line without its end."""

    number: int
    """From 1."""
    text: str
    """Bytes that are not UTF-8 are half characters, as in file names (PEP 383): see `is_text`."""
    problem: str = ""
    """Why it cannot be used, where it cannot."""


def read_lines(path: Path) -> Iterator[TextLine]:
    """The lines of a UTF-8 file, `.gz` unpacked; they end at \\n or \\r\\n alone, and a BOM is no part of them.

    A line of more than `MAX_LINE_BYTES` is passed over in bounded memory and has a problem. DataError for a file that
    is absent, cannot be read, or is UTF-16 or UTF-32.
    """
    try:
        with _opened(path) as file:
            yield from _lines(path, file)
    except FileNotFoundError:
        raise DataError(f"no such file: {path}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except ValueError as error:  # a zero byte in the path, half of a surrogate pair
        raise DataError(f"no file can be called {str(path)!r}") from error


def read_text(path: Path) -> str:
    """The whole of a text file, its lines as `read_lines` gives them; DataError for one that has a problem too."""
    lines = []
    for line in read_lines(path):
        problem = line.problem or ("holds a zero byte" if "\0" in line.text else "")
        if problem := problem or ("" if is_text(line.text) else "is not UTF-8"):
            raise DataError(f"{path}:{line.number} {problem}")
        lines.append(line.text)
    return "\n".join(lines)


def is_text(text: str) -> bool:
    """Whether it holds whole characters alone."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    return path.open("rb")


def _lines(path: Path, file: BinaryIO | gzip.GzipFile) -> Iterator[TextLine]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        is_cut = len(line) > MAX_LINE_BYTES and not line.endswith(b"\n")
        if number == 1:
            _check_narrow(path, line[:LOOK_BYTES])
            line = line.removeprefix(codecs.BOM_UTF8)
        if is_cut:
            _pass_over(file)
            yield TextLine(number, "", f"is longer than {MAX_LINE_BYTES // 2**20} MiB")
            continue
        yield TextLine(number, line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape"))


def _pass_over(file: BinaryIO | gzip.GzipFile) -> None:
    """Read to the line's end."""
    while (part := file.readline(MAX_LINE_BYTES)) and not part.endswith(b"\n"):
        pass


def _check_narrow(path: Path, start: bytes) -> None:
    """DataError for text of two or four bytes a character, with a mark at its start or without."""
    half = len(start) // 4
    if start.startswith(WIDE) or (half and max(start[0::2].count(0), start[1::2].count(0)) > half):
        kind = "UTF-32" if start.startswith(WIDE[:2]) else "UTF-16"
        raise DataError(f"{path} is {kind} text; write it as UTF-8: iconv -f {kind} -t UTF-8 {path.name} > utf8.txt")
