"""Recordings within larger files, tar archives, Kaldi's arks and parquet files, and how their paths say so."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_SLICE = re.compile(r"(?P<path>.+)#bytes=(?P<offset>\d{1,18})\+(?P<size>\d{1,18})(/(?P<name>[^\0]*))?", re.DOTALL)


_ROW = re.compile(
    r"(?P<path>.+)#row=(?P<group>\d{1,9})\+(?P<row>\d{1,9})\+(?P<size>\d{1,18})\+(?P<column>[^/+\0]+)(/(?P<name>[^\0]*))?",
    re.DOTALL,
)


class FileRow(NamedTuple):
    """A value of a parquet file's column of bytes, which is compressed with its neighbours."""

    path: str
    """Of the file that holds it."""
    group: int
    """Row group, from 0."""
    row: int
    """Within its group, from 0."""
    size: int
    """In bytes."""
    column: str
    """Its dotted name."""


class FileSlice(NamedTuple):
    """So many bytes of a file from a place on."""

    path: str
    """Of the file that holds them."""
    offset: int
    size: int


def slice_path(path: str | os.PathLike[str], offset: int, size: int, name: str = "") -> str:
    """What a recording within a file is called: `a.tar#bytes=512+10240/clip.wav`; the name is for people alone."""
    name = name.replace("#bytes=", "#bytes_")  # the last one in a path is the one that counts
    return f"{os.fspath(path)}#bytes={offset}+{size}{'/' if name else ''}{name}"


def row_path(path: str | os.PathLike[str], group: int, row: int, size: int, column: str, name: str = "") -> str:
    """What a recording in a parquet file is called: `a.parquet#row=0+17+10240+audio.bytes/clip.wav`."""
    name = name.replace("#row=", "#row_").replace("#bytes=", "#bytes_")
    return f"{os.fspath(path)}#row={group}+{row}+{size}+{column}{'/' if name else ''}{name}"


def part_of(path: str | os.PathLike[str]) -> FileSlice | FileRow | None:
    """What a path of a part of a file means; None for the path of a whole file."""
    text = os.fspath(path)
    if "#row=" in text and (found := _ROW.fullmatch(text)) is not None:
        return FileRow(found["path"], int(found["group"]), int(found["row"]), int(found["size"]), found["column"])
    return slice_of(text)


def slice_of(path: str | os.PathLike[str]) -> FileSlice | None:
    """What a path of a slice means; None for the path of a whole file."""
    text = os.fspath(path)
    if "#bytes=" not in text or (found := _SLICE.fullmatch(text)) is None:
        return None
    return FileSlice(found["path"], int(found["offset"]), int(found["size"]))
