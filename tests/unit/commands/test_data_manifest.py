"""A manifest of any folder is read by `type = "folder"` with the same cuts."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_lab.audio.file_slice import slice_path
from asr_lab.commands.data_manifest import make_manifest
from asr_lab.data.cuts import Cuts, read_cuts
from asr_lab.errors import DataError
from asr_lab.slots.datasets.folder import Folder

RATE = 8000


def audio(path: Path, seconds: float = 4.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, int(seconds * RATE)), RATE)
    return path


def read(folder: Path, name: str = "manifest.tsv") -> Cuts:
    return read_cuts([Folder(path=str(folder), transcripts=name).build(folder)], folder, keep_columns=True)


def test_texts_and_subtitles_beside_recordings_become_rows(tmp_path: Path) -> None:
    folder = tmp_path / "talks"
    audio(folder / "a.wav")
    (folder / "a.txt").write_text("\ufeffhello\nthere\t you\n")
    audio(folder / "deep" / "b.flac")
    (folder / "deep" / "b.en.srt").write_text(
        "1\n00:00:00,500 --> 00:00:01,500\none\n\n2\n00:00:02,000 --> 00:00:01,000\nback\n"
    )
    audio(folder / "c.wav")
    (folder / "c.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>two\n")
    (folder / "c.txt").write_text("not read, as there are subtitles")
    audio(folder / "without.wav")
    (folder / "gone.txt").write_text("no recording")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = make_manifest([folder])
    notes = [str(c.message) for c in caught]
    assert sum("1 recording without a transcript, as" in note for note in notes) == 1
    assert sum("1 transcript without a recording, as" in note and "gone.txt" in note for note in notes) == 1
    assert (made.num_rows, [one.text for one in made.bad]) == (3, ["back"])
    cuts = read(folder)
    assert list(cuts.texts) == ["hello there you", "two", "one"]
    assert list(cuts.ids) == ["a", "c@1", "deep/b@0.5"]
    assert cuts.duration_s.tolist() == [4.0, 1.0, 1.0]
    assert [c.get("speaker") or c.get("language") for c in cuts.columns] == ["", "Ann", "en"]
    assert not cuts.bad


def test_kaldi_directories_and_trees_become_rows(tmp_path: Path) -> None:
    kaldi = tmp_path / "kaldi"
    one, two = audio(kaldi / "rec.wav").read_bytes(), audio(tmp_path / "two.wav", 2.0).read_bytes()
    (kaldi / "wav.ark").write_bytes(b"r1 " + one + b"r2 " + two)
    (kaldi / "wav.scp").write_text(f"r1 wav.ark:3\nr2 wav.ark:{len(one) + 6}\n")
    (kaldi / "segments").write_text("u1 r1 0.5 1.75\nu2 r1 2.0 -1\nu3 r2 0 -1\n")
    (kaldi / "text").write_text("u1 hello\nu2 there\nu3 you\n")
    (kaldi / "utt2spk").write_text("u1 ann\nu2 bob\nu3 bob\n")
    make_manifest([kaldi])
    cuts = read(kaldi)
    assert list(cuts.texts) == ["hello", "there", "you"]
    assert cuts.duration_s.tolist() == [1.25, 2.0, 2.0]
    assert cuts.audio[2] == slice_path(kaldi / "wav.ark", len(one) + 6, len(two))
    tree = tmp_path / "tree" / "1" / "2"
    audio(tree / "1-2-0.wav")
    (tree / "1-2.trans.txt").write_text("1-2-0 HELLO\n")
    made = make_manifest([kaldi, tmp_path / "tree"], tmp_path / "both.tsv")
    assert made.num_rows == 4
    assert list(read(tmp_path, "both.tsv").texts) == ["hello", "there", "you", "HELLO"]


def test_nothing_is_written_over_unless_it_is_asked(tmp_path: Path) -> None:
    audio(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("hello")
    make_manifest([tmp_path])
    with pytest.raises(DataError, match="--replace writes it anew"):
        make_manifest([tmp_path])
    assert make_manifest([tmp_path], replace=True).num_rows == 1


@pytest.mark.parametrize(
    ("folders", "out", "reason"),
    [
        (["a", "b"], None, "say where, --out"),
        (["a"], "x.csv", r"ends in \.tsv"),
        (["absent"], None, "no folder"),
        (["a"], None, "no recording with a transcript of its name"),
    ],
)
def test_what_cannot_be_made_is_told(tmp_path: Path, folders: list[str], out: str | None, reason: str) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=reason):
        make_manifest([tmp_path / name for name in folders], tmp_path / out if out else None)
