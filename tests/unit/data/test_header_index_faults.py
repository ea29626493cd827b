"""A damaged, locked, full or forbidden index of headers: what the files hold is read all the same."""

from __future__ import annotations

import os
import random
import resource
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from indexed_files import num_rows, once_warned, sql, start, truth, write

from asr_lab.data import header_index
from asr_lab.data.header_index import HeaderIndex

NO_USER = 65534
NUM_DAMAGED = 150


def _garbage(file: Path) -> None:
    file.write_bytes(b"this is no database" * 1000)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def _no_table(file: Path) -> None:
    sql(file.parent.parent, "DROP TABLE headers")


def _zeros_behind_the_head(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:4096].ljust(file.stat().st_size, b"\0"))


def _no_text(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE", b"CREATE \xd2ABLE"))


@pytest.mark.parametrize("damage", [_garbage, _cut, _no_table, _zeros_behind_the_head, _no_text])
def test_a_damaged_index_is_made_anew(
    tmp_path: Path, files: list[str], opened: list[str], damage: Callable[[Path], None]
) -> None:
    start(tmp_path, files)
    damage(tmp_path / "cache" / header_index.NAME)
    with once_warned("was damaged and is made anew"):
        assert start(tmp_path, files) == truth(files)
    opened.clear()
    assert start(tmp_path, files) == truth(files)
    assert not opened
    assert num_rows(tmp_path) == len(files)


def test_an_index_that_stays_damaged_is_done_without(
    tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmp_path, files)
    _garbage(tmp_path / "cache" / header_index.NAME)
    monkeypatch.setattr(header_index, "BLOCK", 4)
    monkeypatch.setattr(HeaderIndex, "_remove", lambda _: True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert start(tmp_path, files) == truth(files)
    for warned, reason in zip(caught, ("is made anew", "cannot be written", "cannot be read"), strict=True):
        assert reason in str(warned.message)


@pytest.mark.filterwarnings("ignore:the index of audio headers")
def test_no_flipped_bit_gives_a_wrong_header(tmp_path: Path, files: list[str]) -> None:
    files = files[:12]
    expected = start(tmp_path, files)
    file = tmp_path / "cache" / header_index.NAME
    whole = file.read_bytes()
    draw = random.Random(0)
    for _ in range(NUM_DAMAGED):
        damaged = bytearray(whole)
        for _ in range(draw.choice((1, 8, 64))):
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged[: draw.choice((len(damaged), draw.randrange(len(damaged))))])
        assert start(tmp_path, files) == expected


@pytest.mark.parametrize(
    "change",
    ["num_samples = num_samples + 1", "num_samples = 'many'", "sample_rate = NULL", "num_channels = 1.5",
     "content = 7", "row_check = row_check + 1", "row_check = x'00'", "content = x'00'"],
)  # fmt: skip
def test_a_row_that_is_not_as_it_was_written_is_read_again(
    tmp_path: Path, files: list[str], opened: list[str], change: str
) -> None:
    start(tmp_path, files)
    sql(tmp_path, f"UPDATE headers SET {change} WHERE path = (SELECT min(path) FROM headers)")
    opened.clear()
    assert start(tmp_path, files) == truth(files)
    assert opened == files[:1]


@pytest.mark.parametrize("table", ["DROP TABLE headers", "ALTER TABLE headers RENAME COLUMN path TO place"])
def test_an_index_of_another_version_is_made_anew(
    tmp_path: Path, files: list[str], opened: list[str], table: str
) -> None:
    start(tmp_path, files)
    sql(tmp_path, table, "PRAGMA user_version = 999")
    opened.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert start(tmp_path, files) == truth(files)
    assert sorted(opened) == sorted(files)
    assert num_rows(tmp_path) == len(files)
    opened.clear()
    start(tmp_path, files)
    assert not opened


def test_an_index_that_grew_too_large_is_emptied(
    tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmp_path, files[:30])
    monkeypatch.setattr(header_index, "MAX_BYTES", 4096)
    start(tmp_path, files[30:])
    assert num_rows(tmp_path) == 10


@contextmanager
def unprivileged() -> Iterator[None]:
    """For root nothing is read-only, so it becomes someone else for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NO_USER)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everyone may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    (folder / "cache").chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_that_cannot_be_written_to_is_warned_of(public: Path, opened: list[str]) -> None:
    files = [write(public / f"{i}.wav", 100 + i) for i in range(3)]
    (public / "cache").mkdir(mode=0o555)
    with unprivileged(), once_warned("cannot be read: unable to open database file"):
        assert start(public, files) == truth(files)
    assert not list((public / "cache").iterdir())


def test_an_index_that_can_only_be_read_is_read(public: Path, opened: list[str]) -> None:
    files = [write(public / f"{i}.wav", 100 + i) for i in range(3)]
    start(public, files[:2])
    (public / "cache" / header_index.NAME).chmod(0o444)
    (public / "cache").chmod(0o555)
    opened.clear()
    with unprivileged(), once_warned("cannot be written: attempt to write a readonly database"):
        assert start(public, files) == truth(files)
    assert opened == files[2:]
    with unprivileged(), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert start(public, files[:2]) == truth(files[:2])


def test_a_folder_that_cannot_be_made_is_warned_of(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "cache").write_text("a file")
    with once_warned("cannot be read: "):
        assert start(tmp_path, files) == truth(files)


def test_a_full_disk_is_warned_of_once(tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_index, "BLOCK", 10)
    start(tmp_path, files[:10])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    expected = truth(files)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with once_warned("cannot be written: "):
            found = start(tmp_path, files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert found == expected
    assert num_rows(tmp_path) == 10


@pytest.mark.parametrize(("lock", "warned"), [("EXCLUSIVE", "read"), ("IMMEDIATE", "written")])
def test_an_index_that_is_locked_for_long_is_done_without(
    tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch, lock: str, warned: str
) -> None:
    monkeypatch.setattr(header_index, "BLOCK", 10)
    monkeypatch.setattr(header_index, "TIMEOUT_S", 0.2)
    start(tmp_path, files[:5])
    with closing(sqlite3.connect(tmp_path / "cache" / header_index.NAME, isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        with once_warned(f"cannot be {warned}: database is locked"):
            assert start(tmp_path, files) == truth(files)  # it waits once, not for each block


def test_without_sqlite_headers_are_read_from_the_files(
    tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header_index, "sqlite3", None)
    with pytest.warns(UserWarning, match="has no sqlite3"):
        assert start(tmp_path, files) == truth(files)
