"""A file comes whole through whatever the server does, or the error says what it did."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from faulty_server import FaultyServer

from asr_lab.data.fetching.download import Patience, download, read_list
from asr_lab.errors import DataError

CONTENT = random.Random(0).randbytes(300_000)
HASTY = Patience(attempts=4, stall_s=0.4, pause_s=0.01)
PATH = "/12/a.tar.gz"


@pytest.fixture
def url(server: FaultyServer) -> str:
    server.files[PATH] = CONTENT
    return server.url + PATH


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["cut 100000"],
        ["cut 100000", "cut 70000", "cut 80000"],
        ["cut 0", "cut 10", "cut 20"],
        ["stall 100000"],
        ["stall 0", "stall 70000"],
        ["status 503", "status 500", "status 429"],
        ["cut 100000", "no-range"],
        ["cut 100000", "other-place 7"],
        ["cut 100000", "status 416"],
        ["redirect"],
        ["cut 100000", "redirect"],
        ["chunked"],
        ["no-length"],
        ["trickle", "trickle"],
    ],
    ids=str,
)
def test_the_file_comes_whole(server: FaultyServer, url: str, faults: list[str], tmp_path: Path) -> None:
    server.faults = list(faults)
    target = tmp_path / "a.tar.gz"
    download(url, target, num_bytes=len(CONTENT), is_checked=True, patience=HASTY)
    assert target.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [target]


def test_what_was_fetched_is_not_fetched_again(server: FaultyServer, url: str, tmp_path: Path) -> None:
    server.faults = ["cut 100000", *["status 503"] * 8]
    target = tmp_path / "a.tar.gz"
    with pytest.raises(DataError, match=r"answers 503 .* 4 times in a row; 100,000 bytes are kept"):
        download(url, target, patience=HASTY)
    assert not target.exists()
    server.faults, server.sent = [], 0
    download(url, target, patience=HASTY)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1] == (PATH, "bytes=100000-")
    assert server.sent == len(CONTENT) - 100_000


def test_another_version_is_not_put_together_with_the_first(server: FaultyServer, url: str, tmp_path: Path) -> None:
    server.faults = ["cut 100000", *["status 503"] * 8]
    with pytest.raises(DataError):
        download(url, tmp_path / "a", patience=HASTY)
    server.files[PATH] = bytes(len(CONTENT))
    server.tag, server.faults = '"two"', []
    download(url, tmp_path / "a", patience=HASTY)
    assert (tmp_path / "a").read_bytes() == bytes(len(CONTENT))


def test_a_file_without_a_mark_of_its_version_is_begun_anew_unless_a_checksum_tells(
    server: FaultyServer, url: str, tmp_path: Path
) -> None:
    server.tag = ""
    server.faults = ["cut 100000"]
    download(url, tmp_path / "a", patience=HASTY)
    assert [wanted for _, wanted in server.requests] == ["", ""]
    server.requests, server.faults = [], ["cut 100000"]
    download(url, tmp_path / "b", is_checked=True, patience=HASTY)
    assert [wanted for _, wanted in server.requests] == ["", "bytes=100000-"]


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (["long 5"] * 20, r"300,005 bytes there, 300,000 are published"),
        (["short 5"] * 20, r"299,995 bytes there, 300,000 are published"),
        (["status 404"], "answers 404 Not Found; another mirror"),
        (["status 403"], "answers 403"),
        (["page"], "sends a web page, not the file"),
        (["stall 0"] * 20, "does not answer in time, 4 times in a row"),
        (["cut 0"] * 20, "4 times in a row; 0 bytes are kept"),
        (["trickle"] * 20, r"it sent \d+ bytes in 0 s"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_told(
    server: FaultyServer, url: str, faults: list[str], reason: str, tmp_path: Path
) -> None:
    server.faults = faults
    with pytest.raises(DataError, match=reason):
        download(url, tmp_path / "a", num_bytes=len(CONTENT), patience=HASTY)
    assert not (tmp_path / "a").exists()


def test_a_server_that_promises_more_than_it_has_is_not_asked_for_ever(
    server: FaultyServer, url: str, tmp_path: Path
) -> None:
    server.faults = ["long 5"] * 200
    with pytest.raises(DataError, match="4 times in a row"):
        download(url, tmp_path / "a", patience=HASTY)
    assert len(server.requests) < 20


def test_no_more_is_written_than_is_published(server: FaultyServer, url: str, tmp_path: Path) -> None:
    server.faults = ["no-length"]
    with pytest.raises(DataError, match="sends more than the 1,000 bytes"):
        download(url, tmp_path / "a", num_bytes=1000, patience=HASTY)
    assert (tmp_path / "a.part").stat().st_size <= 1000


def test_a_server_that_is_not_there_is_told(tmp_path: Path, server: FaultyServer) -> None:
    server.close()
    with pytest.raises(DataError, match="could not be fetched"):
        download(f"{server.url}/a", tmp_path / "a", patience=HASTY)


@pytest.mark.parametrize(
    "notes", ["", "{", "[" * 100_000, "[]", '{"url": 1}', '{"url": "", "validator": 1, "total": "x"}']
)
def test_damaged_notes_begin_anew(server: FaultyServer, url: str, tmp_path: Path, notes: str) -> None:
    (tmp_path / "a.part").write_bytes(b"x" * 1000)
    (tmp_path / "a.part.json").write_text(notes)
    download(url, tmp_path / "a", patience=HASTY)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_part_that_is_too_long_begins_anew(server: FaultyServer, url: str, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"x" * 400_000)
    notes = {"url": url, "validator": '"one"', "total": 300_000}
    (tmp_path / "a.part.json").write_text(json.dumps(notes))
    download(url, tmp_path / "a", patience=HASTY)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_full_disk_is_told_before_anything_is_written(
    server: FaultyServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 100_000))
    with pytest.raises(DataError, match="set ASRLAB_DATA to a larger disk"):
        download(url, tmp_path / "a", patience=HASTY)
    assert not (tmp_path / "a.part").exists()


def test_lists_of_checksums_are_read_through_faults(server: FaultyServer) -> None:
    server.files["/md5sum.txt"] = b"0" * 32 + b"  a.tar.gz\n"
    server.faults = ["status 503", "cut 5", "stall 3"]
    assert read_list(f"{server.url}/md5sum.txt", HASTY).endswith("a.tar.gz\n")
    with pytest.raises(DataError, match="answers 404"):
        read_list(f"{server.url}/absent", HASTY)


def test_progress_never_exceeds_what_is_there(server: FaultyServer, url: str, tmp_path: Path) -> None:
    server.faults = ["cut 100000"]
    told: list[tuple[int, int | None]] = []
    download(url, tmp_path / "a", patience=HASTY, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (300_000, 300_000)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
