"""Recordings within larger files, tar archives and Kaldi's arks above all, and how their paths say so."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_SLICE = re.compile(r"(?P<path>.+)#bytes=(?P<offset>\d{1,18})\+(?P<size>\d{1,18})(/(?P<name>[^\0]*))?", re.DOTALL)


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


def slice_of(path: str | os.PathLike[str]) -> FileSlice | None:
    """What a path of a slice means; None for the path of a whole file."""
    text = os.fspath(path)
    if "#bytes=" not in text or (found := _SLICE.fullmatch(text)) is None:
        return None
    return FileSlice(found["path"], int(found["offset"]), int(found["size"]))
