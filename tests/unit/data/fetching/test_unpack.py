"""What archives from elsewhere may write: files and folders within the target, of bounded size."""

from __future__ import annotations

import gzip
import io
import os
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab.data.fetching.unpack import Bounds, merge, unpack
from asr_lab.errors import DataError


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as out:
        for info, content in members:
            out.addfile(info, io.BytesIO(content))
    return path


def everything(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_files_folders_and_links_between_files_are_unpacked(tmp_path: Path) -> None:
    archive = tar(
        tmp_path / "a.tar.gz",
        member("./", kind=tarfile.DIRTYPE),
        member("c/soft", kind=tarfile.SYMTYPE, link="../a/one.txt"),
        member("./a/one.txt", b"one"),
        member("a/hard", kind=tarfile.LNKTYPE, link="a/one.txt"),
    )
    unpack(archive, tmp_path / "out")
    assert everything(tmp_path / "out") == ["a", "a/hard", "a/one.txt", "c", "c/soft"]
    for name in ("a/hard", "c/soft"):
        path = tmp_path / "out" / name
        assert path.read_bytes() == b"one"
        assert not path.is_symlink()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([member("../x", b"x")], "leads out of its folder"),
        ([member("a/../../x", b"x")], "leads out of its folder"),
        ([member("/x", b"x")], "leads out of its folder"),
        ([member("a\\..\\x", b"x")], "leads out of its folder"),
        ([member("y" * 2000, b"x")], "leads out of its folder or is none"),
        ([member("l", kind=tarfile.SYMTYPE, link="/etc/passwd")], "a link out of its folder"),
        ([member("l", kind=tarfile.SYMTYPE, link="../../x")], "leads out of its folder"),
        ([member("l", kind=tarfile.SYMTYPE, link=".."), member("l/x", b"x")], "leads out of its folder"),
        ([member("d", kind=tarfile.DIRTYPE), member("l", kind=tarfile.SYMTYPE, link="d")], "which is no file of it"),
        ([member("l", kind=tarfile.LNKTYPE, link="../../x")], "leads out of its folder"),
        ([member("l", kind=tarfile.LNKTYPE, link="absent")], "which is no file of it"),
        ([member("p", kind=tarfile.FIFOTYPE)], "a device, a pipe"),
        ([member("p", kind=tarfile.CHRTYPE)], "a device, a pipe"),
        ([member("p", kind=tarfile.BLKTYPE)], "a device, a pipe"),
        ([member("a", kind=tarfile.DIRTYPE), member("a", b"x")], "both a folder and a file"),
        ([member(f"f{n}", b"") for n in range(11)], "more than 10 files"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_leads_elsewhere_is_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], reason: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    archive = tar(home / "a.tar.gz", *members)
    before = everything(tmp_path)
    with pytest.raises(DataError, match=reason):
        unpack(archive, home / "out", bounds=Bounds(files=10))
    assert [name for name in everything(tmp_path) if not name.startswith("home/out")] == before


def test_modes_and_owners_of_an_archive_are_not_taken(tmp_path: Path) -> None:
    info, content = member("a", b"x")
    info.mode, info.uid = 0o6777, 4711
    unpack(tar(tmp_path / "a.tar.gz", (info, content)), tmp_path / "out")
    status = (tmp_path / "out" / "a").stat()
    assert not status.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)
    assert status.st_uid == os.getuid()


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.gz", member("zeros", bytes(50_000_000)))
    with pytest.raises(DataError, match="too many for its size"):
        unpack(archive, tmp_path / "out", bounds=Bounds(slack_bytes=1_000_000))
    assert (tmp_path / "out" / "zeros").stat().st_size < 20_000_000
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("zeros", bytes(50_000_000))
    with pytest.raises(DataError, match="too many for its size"):
        unpack(tmp_path / "b.zip", tmp_path / "out2", bounds=Bounds(slack_bytes=1_000_000))


def test_zips_are_held_to_the_same(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr("d/one.wav", b"one")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert everything(tmp_path / "out") == ["d", "d/one.wav"]
    link = zipfile.ZipInfo("l")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    for number, (info, reason) in enumerate(
        [(zipfile.ZipInfo("../x"), "leads out"), (zipfile.ZipInfo("/x"), "leads out"), (link, "a link or a device")]
    ):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as out:
            out.writestr(info, b"/etc/passwd")
        with pytest.raises(DataError, match=reason):
            unpack(tmp_path / f"{number}.zip", tmp_path / f"out{number}")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"<html>no archive</html>",
        lambda content: content[: len(content) // 2],
        lambda content: gzip.compress(b"x" * 5000),
    ],
)
def test_damaged_archives_are_told(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    archive = tar(tmp_path / "a.tar.gz", member("a", random.Random(0).randbytes(10_000)))
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(DataError, match="is damaged or no archive"):
        unpack(archive, tmp_path / "out")
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(DataError, match="is damaged or no archive"):
        unpack(tmp_path / "b.zip", tmp_path / "out")


def test_merging_keeps_what_is_there(tmp_path: Path) -> None:
    for name, text in (
        ("new/L/test/a", "new"),
        ("new/L/README", "new"),
        ("old/L/dev/b", "old"),
        ("old/L/README", "old"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    merge(tmp_path / "new", tmp_path / "old")
    found = {str(p.relative_to(tmp_path / "old")): p.read_text() for p in (tmp_path / "old").rglob("*") if p.is_file()}
    assert found == {"L/test/a": "new", "L/README": "new", "L/dev/b": "old"}
