"""Named arrays and a JSON value in one file of the cache, mapped into memory when they are read again."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAGIC = b"asrlab arrays 1\n"
"""A file of another form begins otherwise."""
ALIGNMENT = 64
COPY_BYTES = 1 << 22
DTYPES = ("u1", "i2", "i4", "i8", "u8", "f8")
_HEAD = struct.Struct("<16s32sQ")
"""What it is, SHA-256 of the JSON that follows, and the bytes of that."""


class KeptArrays(NamedTuple):
    """What a file holds."""

    arrays: dict[str, Array]
    """Each (N,), not to be written to; what was never looked at takes no memory."""
    rest: Any
    """The JSON value."""


class KeptError(Exception):
    """A file that cannot be believed, and why."""


def write_arrays(path: Path, arrays: Mapping[str, Array], rest: Any) -> None:
    """Replace a file at once, whatever else writes it. OSError as from `open`."""
    table, offset = {}, 0
    for name, array in arrays.items():
        raw = _raw(array)
        table[name] = [array.dtype.str[1:], offset, len(array), zlib.crc32(raw)]
        offset += _padded(len(raw))
    head = json.dumps({"arrays": table, "rest": rest}).encode()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            file.write(_HEAD.pack(MAGIC, hashlib.sha256(head).digest(), len(head)) + head)
            file.write(bytes(_padded(file.tell()) - file.tell()))
            for array in arrays.values():
                raw = _raw(array)
                file.write(raw)
                file.write(bytes(_padded(len(raw)) - len(raw)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_arrays(path: Path) -> KeptArrays:
    """What `write_arrays` wrote, every byte of it checked; KeptError for any other file, OSError as from `open`."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(_HEAD.size)
        magic, digest, count = _HEAD.unpack(start) if len(start) == _HEAD.size else (b"", b"", 0)
        if magic != MAGIC or count > size - _HEAD.size:
            raise KeptError("it is no file of kept arrays")
        head = file.read(count)
        if hashlib.sha256(head).digest() != digest:
            raise KeptError("its head is damaged")
        first = _padded(_HEAD.size + count)
        try:
            content = json.loads(head)
            places = {name: _Place(*place) for name, place in content["arrays"].items()}
            rest = content["rest"]
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
            raise KeptError(f"its head cannot be read: {error}") from error
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        for name, place in places.items():
            # By reading, not through the map: pages of a map that were looked at count as this process's.
            if not place.fits(size - first) or _checksum(file.fileno(), first, place) != place.checksum:
                raise KeptError(f"its array {name!r} is damaged")
    arrays = {n: np.frombuffer(mapped, p.dtype, p.length, first + p.offset) for n, p in places.items()}
    return KeptArrays(arrays, rest)


class _Place(NamedTuple):
    """Where an array is in its file, from the first array's first byte on."""

    dtype: str
    offset: int
    length: int
    checksum: int

    @property
    def num_bytes(self) -> int:
        return self.length * np.dtype(self.dtype).itemsize

    def fits(self, size: int) -> bool:
        """Whether it is an array that lies within so many bytes."""
        numbers = (self.offset, self.length, self.checksum)
        if self.dtype not in DTYPES or any(type(number) is not int or number < 0 for number in numbers):
            return False
        return self.offset % ALIGNMENT == 0 and self.offset + self.num_bytes <= size


def _checksum(descriptor: int, first: int, place: _Place) -> int:
    found, done = 0, 0
    block = memoryview(bytearray(min(COPY_BYTES, max(1, place.num_bytes))))
    while done < place.num_bytes:
        count = os.preadv(descriptor, [block[: place.num_bytes - done]], first + place.offset + done)
        if not count:
            break
        found = zlib.crc32(block[:count], found)
        done += count
    return found


def _raw(array: Array) -> memoryview:
    """An array's bytes."""
    assert array.dtype.str[1:] in DTYPES, array.dtype
    return np.ascontiguousarray(array).view(np.uint8).data


def _padded(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT
