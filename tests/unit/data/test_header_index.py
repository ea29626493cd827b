"""The index of headers gives what the files would, whatever happens to them or to it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from indexed_files import LONG_AGO_NS, num_rows, sql, start, truth, write

from asr_lab.audio.reading import AudioError, AudioInfo, read_info
from asr_lab.data import header_index
from asr_lab.data.cuts import read_cuts
from asr_lab.data.header_index import HeaderIndex
from asr_lab.slots.datasets.folder import Folder

FORK = get_context("fork")


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
            files[5]: "is not audio of a kind that is read (wav, flac, ogg, mp3, aiff, au, caf, sph)",
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


def test_a_fingerprint_of_what_a_file_holds_is_kept(tmp_path: Path, files: list[str], opened: list[str]) -> None:
    found = start(tmp_path, files)
    assert len({info.content for info in found.values() if isinstance(info, AudioInfo)}) == len(files)
    content = bytearray(Path(files[0]).read_bytes())
    content[-1] ^= 1
    Path(files[0]).write_bytes(content)  # of the same size
    os.utime(files[0], ns=(LONG_AGO_NS + 1, LONG_AGO_NS + 1))
    again = start(tmp_path, files)
    assert [path for path in files if again[path] != found[path]] == files[:1]


def test_an_index_of_the_version_before_is_made_anew(tmp_path: Path, files: list[str], opened: list[str]) -> None:
    start(tmp_path, files)
    sql(tmp_path, "UPDATE headers SET content = NULL", "PRAGMA user_version = 1")
    opened.clear()
    assert start(tmp_path, files) == truth(files)
    assert sorted(opened) == sorted(files)


def test_oddities_of_many_files_are_said_for_the_first_few_alone(tmp_path: Path, files: list[str]) -> None:
    for file in files[:20]:
        content = Path(file).read_bytes()
        Path(file).write_bytes(content[:-2])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start(tmp_path, files)
    said = [str(note.message) for note in caught]
    assert len(said) == header_index.MAX_NOTES + 1
    assert all("ms are not there" in line for line in said[:-1])
    assert said[-1].startswith("20 audio files odd in some way")
