"""Snapshots: the code of a run, apart from later edits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr_lab.errors import RunError
from asr_lab.runs.code_snapshot import changed_files, code_of, running_code, snapshot_environment, take_snapshot


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_hash_follows_names_and_contents_alone(tmp_path: Path) -> None:
    a = write(tmp_path / "a", {"x.py": "1\n", "sub/y.py": "2\n"})
    b = write(tmp_path / "b", {"sub/y.py": "2\n", "x.py": "1\n", "__pycache__/x.pyc": "0", ".hidden/z": "0"})
    c = write(tmp_path / "c", {"x.py": "1\n", "sub/z.py": "2\n"})
    assert code_of({"asr_lab": a}).hash == code_of({"asr_lab": b}).hash != code_of({"asr_lab": c}).hash


def test_the_running_code_holds_the_package_and_the_users_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = running_code()
    write(tmp_path, {"blocks/mine.py": "x = 1\n"})
    monkeypatch.setenv("ASRLAB_PATH", str(tmp_path))
    code = running_code()
    assert "asr_lab/units.py" in code.files
    assert "path0/blocks/mine.py" in code.files
    assert code.hash != without.hash


def test_a_snapshot_is_equal_and_is_made_once(tmp_path: Path) -> None:
    code = code_of({"asr_lab": write(tmp_path / "a", {"x.py": "1\n"}), "path0": write(tmp_path / "p", {"y.py": "2\n"})})
    first = take_snapshot(code, tmp_path / "code")
    assert take_snapshot(code, tmp_path / "code") == first
    assert first.name == code.hash[:16]
    assert code_of({p.name: p for p in first.iterdir()}).hash == code.hash
    assert [p.name for p in (tmp_path / "code").iterdir()] == [first.name]


def test_code_edited_under_way_is_refused(tmp_path: Path) -> None:
    code = code_of({"asr_lab": write(tmp_path / "a", {"x.py": "1\n"})})
    write(tmp_path / "a", {"x.py": "2\n"})
    with pytest.raises(RunError, match=r"x\.py changed while"):
        take_snapshot(code, tmp_path / "code")


def test_a_diff_names_each_file_and_counts_its_lines(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", {"x.py": "1\n2\n3\n", "gone.py": "1\n", "same.py": "1\n"})
    snapshot = take_snapshot(code_of({"asr_lab": folder}), tmp_path / "code")
    write(folder, {"x.py": "1\n2\n4\n5\n", "fresh.py": "1\n"})
    (folder / "gone.py").unlink()
    assert changed_files(snapshot, code_of({"asr_lab": folder})) == [
        "asr_lab/fresh.py  +1 -0  (new)",
        "asr_lab/gone.py  +0 -1  (gone)",
        "asr_lab/x.py  +2 -1",
    ]


def test_a_job_runs_the_snapshot_and_not_the_working_folder(tmp_path: Path) -> None:
    snapshot = take_snapshot(running_code(), tmp_path / "code")
    elsewhere = write(tmp_path / "work", {"asr_lab/__init__.py": "raise RuntimeError('the wrong code')\n"})
    show = "import asr_lab, asr_lab.runs.lock as lock; print(asr_lab.__file__); print(lock.__file__)"
    environment = snapshot_environment(snapshot, os.environ)
    done = subprocess.run(
        [sys.executable, "-c", show], cwd=elsewhere, env=environment, capture_output=True, text=True, check=True
    )
    assert all(line.startswith(str(snapshot)) for line in done.stdout.split())
