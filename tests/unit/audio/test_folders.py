"""Recordings below a folder, wherever links lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lab.audio.folders import audio_files, is_audio, walk
from asr_lab.errors import DataError


def test_recordings_are_told_by_their_endings() -> None:
    names = ["a.wav", "B.FLAC", "x/y.opus", "a.lab", "a.npy", "a", "._a.wav", "x/._y.opus", ".wav"]
    assert [name for name in names if is_audio(name)] == ["a.wav", "B.FLAC", "x/y.opus"]


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere" / "deep", tmp_path / "folder"
    elsewhere.mkdir(parents=True)
    folder.mkdir()
    for path in (elsewhere / "a.wav", folder / "b.wav", elsewhere / "a.txt"):
        path.write_bytes(b"")
    (folder / "linked").symlink_to(elsewhere.parent)
    (folder / "c.wav").symlink_to(elsewhere / "a.wav")
    found = [str(path.relative_to(folder)) for path in audio_files(folder)]
    assert found == ["b.wav", "c.wav", "linked/deep/a.wav"]


@pytest.mark.parametrize("target", [".", "..", "again"])
def test_a_link_that_leads_back_is_named(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "folder" / "sub"
    folder.mkdir(parents=True)
    (folder / "again").symlink_to(target)
    with pytest.raises(DataError, match=rf"sub/again is a link that leads back to itself \(to {target}\); remove it"):
        list(walk(tmp_path / "folder"))


def test_one_folder_may_be_linked_twice(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    for name in ("a", "b"):
        (tmp_path / name).symlink_to("real")
    assert sorted(path for path, _ in walk(tmp_path)) == [
        str(tmp_path),
        *(f"{tmp_path}/{n}" for n in ("a", "b", "real")),
    ]


def test_what_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone cannot be listed: No such file"):
        list(walk(tmp_path / "gone"))
    assert not audio_files(tmp_path / "gone")
    (tmp_path / "broken").symlink_to("gone")
    assert list(walk(tmp_path)) == [(str(tmp_path), ["broken"])]
