"""Files that readers may come upon in the middle, and what killed writes leave."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_lab import files
from asr_lab.files import create_text, is_leftover, remove_leftovers, write_text

LEFT = ".x.json.0123456789abcdef.tmp"


def test_leftovers_are_removed_wherever_they_lie_and_nothing_else(tmp_path: Path) -> None:
    kept = [tmp_path / ".gitignore", tmp_path / "x.tmp", tmp_path / "deep" / "er" / "x.json"]
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for path in (*kept, tmp_path / LEFT, tmp_path / "deep" / "er" / LEFT):
        path.write_text("")
    remove_leftovers(tmp_path)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(kept)


@pytest.mark.parametrize("write", [write_text, create_text])
def test_a_write_whose_file_was_taken_begins_anew(
    tmp_path: Path, write: Callable[[Path, str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    aside, taken = files._write_aside, []

    def taking(path: Path, content: bytes) -> Path:
        temporary = aside(path, content)
        assert is_leftover(temporary)
        if len(taken) < 2:
            taken.append(temporary)
            remove_leftovers(tmp_path)
        return temporary

    monkeypatch.setattr(files, "_write_aside", taking)
    write(tmp_path / "x", "text")
    assert len(taken) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() == "text"


def test_folders_may_move_while_leftovers_are_looked_for(tmp_path: Path) -> None:
    over = threading.Event()

    def move() -> None:
        while not over.is_set():
            (tmp_path / "new" / "a" / "b").mkdir(parents=True)
            (tmp_path / "new").rename(tmp_path / "there")
            for path in (tmp_path / "there" / "a" / "b", tmp_path / "there" / "a", tmp_path / "there"):
                path.rmdir()

    thread = threading.Thread(target=move)
    thread.start()
    try:
        for _ in range(2000):
            remove_leftovers(tmp_path)
    finally:
        over.set()
        thread.join()


def test_an_error_names_the_file_that_was_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as found:
        write_text(tmp_path / "none" / "x", "")
    assert found.value.filename == os.fspath(tmp_path / "none" / "x")
