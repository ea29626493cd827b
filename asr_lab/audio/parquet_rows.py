"""Values of parquet files' columns of bytes, one at a time; a few row groups stay in memory."""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from typing import Any

from asr_lab.audio.file_slice import FileRow
from asr_lab.errors import MissingPackageError

KEPT_BYTES = 1 << 28
"""Row groups that a process keeps."""
MAX_GROUP_BYTES = 1 << 31
"""A larger row group is not read: it is in memory as a whole."""


def parquet_module() -> Any:
    """pyarrow's reader of parquet files; MissingPackageError, with the extra that has it, without it."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(
            f"parquet and arrow files are read by pyarrow ({error}): pip install 'asr-lab[training]'"
        ) from error
    return parquet


class RowGroups:
    """Columns of row groups as they were last read, up to `KEPT_BYTES` of them; any thread may ask."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, int, str], Any] = OrderedDict()
        self._lock = threading.Lock()

    def value(self, place: FileRow) -> bytes:
        """A value's bytes. OSError where it cannot be read, or is not of the size that its place says."""
        with self._lock:
            values = self._column(place)
            if place.row >= len(values):
                raise OSError(errno.EIO, f"its row group {place.group} has no row {place.row}")
            content = values[place.row].as_buffer()
        if content is None or content.size != place.size:
            raise OSError(errno.EIO, f"row {place.row} of its row group {place.group} has another size than it had")
        return content.to_pybytes()  # type: ignore[no-any-return]

    def _column(self, place: FileRow) -> Any:
        key = (place.path, os.stat(place.path).st_mtime_ns, place.group, place.column)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        values = _read(place)
        self._kept[key] = values
        while len(self._kept) > 1 and sum(one.nbytes for one in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return values


def _read(place: FileRow) -> Any:
    parquet = parquet_module()
    import pyarrow

    try:
        with parquet.ParquetFile(place.path) as file:
            if place.group >= file.num_row_groups:
                raise OSError(errno.EIO, f"it has no row group {place.group}")
            if file.metadata.row_group(place.group).total_byte_size > MAX_GROUP_BYTES:
                raise OSError(errno.EFBIG, "its row groups are larger than 2 GiB; write smaller ones")
            values = file.read_row_group(place.group, columns=[place.column], use_threads=False).column(0)
            for name in place.column.split(".")[1:]:
                values = values.combine_chunks().field(name)
            return values.combine_chunks() if isinstance(values, pyarrow.ChunkedArray) else values
    except (pyarrow.ArrowException, ValueError, KeyError) as error:
        raise OSError(errno.EIO, str(error)[:200]) from error


ROW_GROUPS = RowGroups()
"""Of this process; forked ones begin with what is in it."""
