"""Trees of transcripts beside audio as disks and people leave them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.errors import DataError
from asr_lab.slots.datasets.folder import Folder
from asr_lab.slots.datasets.librispeech import LibriSpeech


def make(folder: Path, *names: str, lines: bytes | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        soundfile.write(folder / name, np.zeros(1600), 16000)
    text = "".join(f"{Path(name).stem} HELLO\n" for name in names).encode() if lines is None else lines
    (folder / "7.trans.txt").write_bytes(text)


def read(folder: Path) -> tuple[list[tuple[str, str, str]], list[str]]:
    source = Folder(path=".").read(folder)
    found = [(u.id, Path(u.audio).name, u.text) for u in source.utterances]
    return found, [bad.reason for bad in source.bad]


def test_a_linked_folder_is_read(tmp_path: Path) -> None:
    make(tmp_path / "disk" / "7", "7-1.flac")
    tree = tmp_path / "tree"
    make(tree / "8", "8-1.flac")
    (tree / "7").symlink_to(tmp_path / "disk" / "7")
    assert [id for id, _, _ in read(tree)[0]] == ["7-1", "8-1"]


def test_a_linked_folder_that_never_ends_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "7", "7-1.flac")
    (tmp_path / "7" / "up").symlink_to(tmp_path)
    with pytest.raises(DataError, match="leads back to itself"):
        read(tmp_path)


def test_files_beside_the_audio_are_no_audio(tmp_path: Path) -> None:
    make(tmp_path, "7-1.wav")
    for ending in (".lab", ".json", ".npy", ".txt", ".zzz"):
        (tmp_path / f"7-1{ending}").write_bytes(b"x")
    (tmp_path / "._7-1.flac").write_bytes(b"x")
    (tmp_path / "._7.trans.txt").write_bytes(b"\x00\x05\x16\x07\xff")
    assert read(tmp_path) == ([("7-1", "7-1.wav", "HELLO")], [])


def test_of_two_recordings_the_first_by_ending_is_read_and_it_is_told(tmp_path: Path) -> None:
    make(tmp_path, "7-1.wav", "7-2.wav")
    soundfile.write(tmp_path / "7-1.flac", np.zeros(1600), 16000)
    with pytest.warns(UserWarning, match=r"1 utterance of several recordings, as 7-1\.flac and 7-1\.wav"):
        found, _ = read(tmp_path)
    assert [audio for _, audio, _ in found] == ["7-1.flac", "7-2.wav"]


def test_recordings_without_a_line_are_told(tmp_path: Path) -> None:
    make(tmp_path, "7-1.wav", "7-2.wav", lines=b"7-1 HELLO\n")
    (tmp_path / "8.trans.txt").write_bytes(b"7-3 GONE\n")
    with pytest.warns(UserWarning, match=r"1 recording without a line in a transcript, as 7-2\.wav"):
        assert [id for id, _, _ in read(tmp_path)[0]] == ["7-1", "7-3"]


def test_lines_are_read_as_they_are_written(tmp_path: Path) -> None:
    lines = "\ufeff7-1\tONE\u2028TWO\x85THREE\x0c\r\n7-2   \t FOUR  FIVE \n\n   \n7-3\n7-4 \n".encode()
    make(tmp_path, *(f"7-{n}.wav" for n in range(1, 5)), lines=lines)
    found, bad = read(tmp_path)
    assert [text for _, _, text in found] == ["ONE\u2028TWO\x85THREE\x0c", "FOUR  FIVE", "", ""]
    assert not bad


def test_names_in_the_other_unicode_form_are_found(tmp_path: Path) -> None:
    make(
        tmp_path,
        "cafe\u0301.wav",
        "nu\u0308.wav",
        "n\u00fc.wav",
        lines="caf\u00e9 ONE\nn\u00fc TWO\nnu\u0308 THREE\n".encode(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [audio for _, audio, _ in read(tmp_path)[0]] == ["cafe\u0301.wav", "n\u00fc.wav", "nu\u0308.wav"]


def test_lines_that_are_no_text_are_bad_in_librispeech_too(tmp_path: Path) -> None:
    make(tmp_path / "LibriSpeech" / "test-clean" / "7", "7-1.wav", lines=b"7-1 HELLO\n7-2 \xff\n7-3 A\0B\n")
    source = LibriSpeech(splits=("test-clean",)).read(tmp_path)
    assert [u.id for u in source.utterances] == ["7-1"]
    assert [(bad.id, bad.reason) for bad in source.bad] == [
        ("7.trans.txt:2", "its text is not UTF-8: '\\udcff'"),
        ("7.trans.txt:3", "its text holds a zero byte"),
    ]
