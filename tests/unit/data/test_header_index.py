"""The index of headers gives what the files would, whatever happens to them or to it."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.audio.reading import AudioError, AudioInfo, read_info
from asr_lab.data import header_index
from asr_lab.data.cuts import read_cuts
from asr_lab.data.header_index import HeaderIndex
from asr_lab.slots.datasets.folder import Folder

LONG_AGO_NS = 1_400_000_000_000_000_000
FORK = get_context("fork")
NO_USER = 65534
NUM_DAMAGED = 150


def write(path: Path, num_samples: int, rate: int = 8000, mtime_ns: int = LONG_AGO_NS) -> str:
    """A recording that has not changed for long; its path."""
    file = os.fspath(path)
    with open(file, "wb") as out:
        soundfile.write(out, np.zeros(num_samples, dtype=np.float32), rate, format="WAV")
    os.utime(file, ns=(mtime_ns, mtime_ns))
    return file


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """40 recordings, each of another length."""
    folder = tmp_path / "files"
    folder.mkdir()
    return [write(folder / f"{i:03}.wav", 100 + i) for i in range(40)]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose headers were read so far."""
    paths: list[str] = []

    def counted(path: str) -> AudioInfo:
        paths.append(path)
        return read_info(path)

    monkeypatch.setattr(header_index, "read_info", counted)
    return paths


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


def test_the_next_start_opens_no_file(tmp_path: Path, files: list[str], opened: list[str]) -> None:
    assert start(tmp_path, files) == truth(files)
    assert sorted(opened) == sorted(files)
    opened.clear()
    assert start(tmp_path, files) == truth(files)
    assert not opened


def test_only_changed_and_new_files_are_read_again(tmp_path: Path, files: list[str], opened: list[str]) -> None:
    start(tmp_path, files)
    opened.clear()
    write(Path(files[3]), 999)
    new = write(tmp_path / "new.wav", 50)
    assert start(tmp_path, [*files, new]) == truth([*files, new])
    assert sorted(opened) == sorted([files[3], new])
    opened.clear()
    start(tmp_path, [*files, new])
    assert not opened


def test_a_file_of_the_same_size_and_another_time_is_read_again(tmp_path: Path, files: list[str]) -> None:
    start(tmp_path, files)
    write(Path(files[0]), 100, rate=16000, mtime_ns=LONG_AGO_NS + 1)
    found = start(tmp_path, files)[files[0]]
    assert isinstance(found, AudioInfo)
    assert found.sample_rate == 16000


def test_what_is_absent_or_broken_is_looked_at_each_time(tmp_path: Path, files: list[str], opened: list[str]) -> None:
    Path(files[5]).write_bytes(b"<html>404</html>")
    os.utime(files[5], ns=(LONG_AGO_NS, LONG_AGO_NS))
    absent = str(tmp_path / "absent.wav")
    start(tmp_path, [*files, absent])
    os.unlink(files[6])
    os.unlink(files[7])
    os.mkdir(files[7])
    for _ in range(2):
        opened.clear()
        found = start(tmp_path, [*files, absent])
        reasons = {path: info.reason for path, info in found.items() if isinstance(info, AudioError)}
        assert reasons == {
            files[5]: "is not audio that libsndfile can read",
            files[6]: "no such file",
            files[7]: "is not a regular file",
            absent: "no such file",
        }
        assert sorted(opened) == sorted(reasons)
    write(Path(absent), 70)
    assert start(tmp_path, [absent]) == truth([absent])


def test_a_file_that_just_changed_is_not_kept(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a file system with coarse time stamps, a second change in the same tick leaves size and time as they were.
    now_ns = time.time_ns()
    path = write(tmp_path / "a.wav", 100, rate=8000, mtime_ns=now_ns)
    start(tmp_path, [path])
    write(tmp_path / "a.wav", 100, rate=16000, mtime_ns=now_ns)
    assert start(tmp_path, [path]) == truth([path])
    assert len(opened) == 2
    monkeypatch.setattr(time, "time_ns", lambda: now_ns + header_index.STABLE_NS + 1)
    start(tmp_path, [path])
    start(tmp_path, [path])
    assert len(opened) == 3


def test_a_file_that_grows_while_it_is_read_is_not_kept(
    tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def growing(path: str) -> AudioInfo:
        write(Path(path), 5000)
        return read_info(path)

    with monkeypatch.context() as patch:
        patch.setattr(header_index, "read_info", growing)
        assert start(tmp_path, files[:1]) == truth(files[:1])
    write(Path(files[0]), 100)
    assert start(tmp_path, files[:1]) == truth(files[:1])


def test_a_link_is_followed(tmp_path: Path, files: list[str], opened: list[str]) -> None:
    link = tmp_path / "link.wav"
    link.symlink_to(files[0])
    start(tmp_path, [str(link)])
    opened.clear()
    assert start(tmp_path, [str(link)]) == {str(link): read_info(files[0])}
    assert not opened
    link.unlink()
    link.symlink_to(files[1])
    assert start(tmp_path, [str(link)]) == {str(link): read_info(files[1])}


def test_any_name_that_a_file_can_have_will_do(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [b"\xff\xfe\x80.wav", b"a\nb.wav", b"x" * 251 + b".wav", "grün 🎧'\"%?#;.wav".encode(), b"C\xcc\xa7.wav"]
    folder = tmp_path.joinpath(*["deep" * 50] * 4)  # libsndfile opens no path of more than 1023 bytes
    folder.mkdir(parents=True)
    paths = [write(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), n))), 100 + i) for i, n in enumerate(names)]
    paths.append(write(folder / "far.wav", 99))
    monkeypatch.chdir(tmp_path)
    paths.append(write(Path("relative.wav"), 98))
    assert start(tmp_path, paths) == truth(paths)
    opened.clear()
    assert start(tmp_path, paths) == truth(paths)
    assert not opened
    # Elsewhere the relative one is another file.
    monkeypatch.chdir(folder)
    write(Path("relative.wav"), 98, rate=16000)
    assert start(tmp_path, ["relative.wav"]) == truth(["relative.wav"])


def test_many_files_go_in_blocks_and_a_name_may_come_twice(
    tmp_path: Path, files: list[str], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header_index, "BLOCK", 7)
    monkeypatch.setattr(header_index, "LOOK_UP_CHUNK", 3)
    assert start(tmp_path, [*files, files[0]]) == truth(files)
    opened.clear()
    assert start(tmp_path, [*files, files[0]]) == truth(files)
    assert start(tmp_path, []) == {}
    assert not opened


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


def _starts(folder: Path, paths: Sequence[str], seed: int) -> None:
    """In a process of its own: several starts, each over the files in another order and many times anew."""
    draw = random.Random(seed)
    expected = truth(paths)
    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("error")
        for _ in range(20):
            some = draw.sample(list(paths), 30)
            assert HeaderIndex(folder / "cache").read(some, pool) == {path: expected[path] for path in some}
            sql(folder, f"DELETE FROM headers WHERE row_check % 7 = {draw.randrange(7)}")


def test_several_processes_may_look_up_and_store_at_once(
    tmp_path: Path, files: list[str], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header_index, "TIMEOUT_S", 60)
    processes = [FORK.Process(target=_starts, args=(tmp_path, files, seed)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert start(tmp_path, files) == truth(files)
    assert num_rows(tmp_path) == len(files)
    opened.clear()
    start(tmp_path, files)
    assert not opened


def _store_for_ever(folder: Path, paths: Sequence[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        while True:
            HeaderIndex(folder / "cache").read(paths, pool)
            sql(folder, "UPDATE headers SET row_check = 0")


def test_a_process_killed_while_it_stores_leaves_an_index_that_can_be_used(
    tmp_path: Path, files: list[str], opened: list[str]
) -> None:
    journal = tmp_path / "cache" / f"{header_index.NAME}-journal"
    draw = random.Random(0)
    cut_short = 0
    for _ in range(25):
        process = FORK.Process(target=_store_for_ever, args=(tmp_path, files))
        process.start()
        time.sleep(0.02)
        until = time.monotonic() + draw.uniform(0, 0.03)
        while time.monotonic() < until or not journal.exists():
            assert process.is_alive()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        cut_short += journal.exists()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert start(tmp_path, files) == truth(files)
        assert num_rows(tmp_path) == len(files)
    assert cut_short > 5
    opened.clear()
    start(tmp_path, files)
    assert not opened


def test_cuts_are_the_same_from_the_index(
    with_bad: Path, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASRLAB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    shutil.copytree(with_bad, folder)
    for path in folder.iterdir():
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    first = read_cuts([Folder(path=".").build(folder)], folder)
    opened.clear()
    again = read_cuts([Folder(path=".").build(folder)], folder)
    assert again.fingerprint == first.fingerprint
    assert again.bad == first.bad
    assert {Path(path).stem for path in opened} == {"u003", "u011", "u020", "u078"}
