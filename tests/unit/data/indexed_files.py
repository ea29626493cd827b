"""Helpers of the tests of the header index: recordings on the spot, a start over them, and the index looked into."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import soundfile

from asr_lab.audio.reading import AudioError, AudioInfo, read_info
from asr_lab.data import header_index
from asr_lab.data.header_index import HeaderIndex

LONG_AGO_NS = 1_400_000_000_000_000_000


def write(path: Path, num_samples: int, rate: int = 8000, mtime_ns: int = LONG_AGO_NS) -> str:
    """A recording that has not changed for long; its path."""
    file = os.fspath(path)
    with open(file, "wb") as out:
        soundfile.write(out, np.zeros(num_samples, dtype=np.float32), rate, format="WAV")
    os.utime(file, ns=(mtime_ns, mtime_ns))
    return file


def start(folder: Path, paths: Sequence[str]) -> dict[str, AudioInfo | AudioError]:
    with ThreadPoolExecutor(4) as pool:
        return HeaderIndex(folder / "cache").read(paths, pool)


def truth(paths: Sequence[str]) -> dict[str, AudioInfo]:
    return {path: read_info(path) for path in paths}


def sql(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "cache" / header_index.NAME, timeout=60, isolation_level=None)) as index:
        for statement in statements:
            index.execute(statement)


def num_rows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "cache" / header_index.NAME)) as index:
        assert index.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (number,) = index.execute("SELECT count(*) FROM headers").fetchone()
        return int(number)


@contextmanager
def once_warned(match: str) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert len(caught) == 1, [str(c.message) for c in caught]
    assert match in str(caught[0].message)
    assert header_index.NAME in str(caught[0].message)
