"""The only writes that readers may come upon in the middle: a file is there whole or not at all; and JSON lines.

A file is written beside its place, synced, and renamed. A line of JSON is appended in one write; readers pass
over what a kill leaves of one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_ASIDE = ".tmp"


def real_path(path: Path) -> Path:
    """The absolute path, links followed; unlike `Path.resolve` it raises for no loop of links: nothing is there."""
    return Path(os.path.realpath(path))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content at once: readers see the old or the new, never half of it. OSError as from `open`."""
    temporary = _write_aside(path, content)
    try:
        temporary.replace(path)
    except FileNotFoundError:
        if os.path.lexists(temporary) or not path.parent.is_dir():
            raise
        return write_bytes(path, content)  # taken for a leftover by the run's owner
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of a text, in UTF-8; bytes of file names that are none are kept as they were."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_json(path: Path, value: Any) -> None:
    """`write_text` of a JSON value, indented."""
    write_text(path, json_text(value, indent=1) + "\n")


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """`write_text` of records, one a line."""
    write_text(path, "".join(json_text(record) + "\n" for record in records))


def create_text(path: Path, text: str) -> bool:
    """Create a file with all its content; False when it exists. `link` is atomic on network file systems too."""
    temporary = _write_aside(path, text.encode("utf-8", "surrogateescape"))
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except FileNotFoundError:
        if os.path.lexists(temporary) or not path.parent.is_dir():
            raise
        return create_text(path, text)  # taken for a leftover by the run's owner
    finally:
        temporary.unlink(missing_ok=True)
    return True


def sync(path: Path) -> None:
    """Have the system put a file, or a folder's entries, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def json_text(value: Any, indent: int | None = None) -> str:
    """A JSON value as text that UTF-8 can hold: characters as they are, unless some are half a character."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


class JsonAppender:
    """Appends records to a file of JSON lines, each whole in one write.

    A line that a kill left torn is closed first, so that several processes may append to one file; with
    `alone`, which only the one process that appends may give, it is removed.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            if alone:
                os.ftruncate(self._file, path.read_bytes().rfind(b"\n") + 1)
            else:
                os.write(self._file, b"\n")

    def write(self, record: Mapping[str, Any], *, synced: bool = False) -> None:
        """Append one record; `synced`: it is on the disk when this returns."""
        line = (json_text(record) + "\n").encode()
        with _naming(self._path):
            while line:
                line = line[os.write(self._file, line) :]
        if synced:
            self.sync()

    def sync(self) -> None:
        """Put what was written on the disk."""
        with _naming(self._path):
            os.fsync(self._file)

    def close(self) -> None:
        """No more records."""
        os.close(self._file)


class JsonFollower:
    """Follows a file of JSON lines: each `read` gives the whole records that were written since the last one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0

    def read(self) -> list[dict[str, Any]]:
        """The records after those read before; none while there is no file.

        A line without its end is left for later; one that is no JSON object is passed over.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._position += len(whole)
        return [record for line in whole.splitlines() if (record := json_record(line)) is not None]


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines, oldest first, as `JsonFollower` takes them. Safe while a process appends."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and (record := json_record(line)) is not None:
                yield record


def json_record(line: bytes) -> dict[str, Any] | None:
    """The object that a line of JSON holds; None for any other line."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def number_of(value: object) -> float | None:
    """A JSON value as a float, infinite and NaN ones too; None where it is no number, or a whole one too large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def is_leftover(path: Path) -> bool:
    """Whether it is what a write leaves aside when it is killed; true of a write under way as well."""
    return path.name.startswith(".") and path.name.endswith(_ASIDE)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writes left aside in a folder and those below; a write under way begins anew."""
    for place, _, names in os.walk(folder):  # passes over folders that another process moves meanwhile
        for path in (Path(place, name) for name in names):
            if is_leftover(path):
                with contextlib.suppress(OSError):
                    path.unlink()


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors inside are of this file, whatever it is called while it is written, and where the system names none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _write_aside(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}{_ASIDE}")
    try:
        with _naming(path), temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return temporary
