"""Files that a manifest spells otherwise than the disk, or that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lab.data.absent_files import AbsentFiles

DECOMPOSED, COMPOSED = "cafe\u0301", "caf\u00e9"


@pytest.mark.parametrize(("there", "asked"), [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED)])
def test_a_name_in_the_other_unicode_form_is_found(tmp_path: Path, there: str, asked: str) -> None:
    folder = tmp_path / there
    folder.mkdir()
    (folder / f"{there}.wav").write_bytes(b"")
    assert AbsentFiles().found(f"{tmp_path}/{asked}/{asked}.wav") == f"{folder}/{there}.wav"
    assert AbsentFiles().found(f"{tmp_path}/{asked}/x.wav") is None


def test_paths_from_the_working_directory_stay_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{DECOMPOSED}.wav").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert AbsentFiles().found(f"{COMPOSED}.wav") == f"{DECOMPOSED}.wav"


def test_another_case_is_named_and_not_taken(tmp_path: Path) -> None:
    (tmp_path / "A.WAV").write_bytes(b"")
    absent = AbsentFiles()
    assert absent.found(f"{tmp_path}/a.wav") is None
    assert absent.reason(f"{tmp_path}/a.wav") == "no such file; one is spelled otherwise: 'A.WAV'"
    assert absent.reason(f"{tmp_path}/b.wav") == "no such file"


def test_two_that_are_alike_are_no_answer(tmp_path: Path) -> None:
    for name in ("A.wav", "a.WAV"):
        (tmp_path / name).write_bytes(b"")
    assert AbsentFiles().reason(f"{tmp_path}/a.wav") == "no such file"


@pytest.mark.parametrize("name", ["\ud800.wav", "x" * 300, "a/" * 50])
def test_names_of_any_kind_are_only_absent(tmp_path: Path, name: str) -> None:
    assert AbsentFiles().found(f"{tmp_path}/{name}") is None
    assert AbsentFiles().reason(f"{tmp_path}/{name}") == "no such file"


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/data/pipe:sox a.wav -t wav -", "a command, which is never run"),
        ("/data/sph2pipe -f wav a.sph |", "a command, which is never run"),
        ("/data/https:/host/a.wav", "an address, which is never fetched"),
        ("s3://bucket/a.wav", "an address, which is never fetched"),
    ],
)
def test_commands_and_addresses_are_told_what_they_are(path: str, meant: str) -> None:
    assert f"it looks like {meant}" in AbsentFiles().reason(path)
