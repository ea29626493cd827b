"""Tables and trees of transcripts, as people really write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_lab.data.cuts import read_cuts
from asr_lab.data.utterance import BadCut, Utterance
from asr_lab.errors import DataError
from asr_lab.slots.datasets.folder import Folder


def read(folder: Path, **settings: Any) -> tuple[list[Utterance], list[BadCut]]:
    source = Folder(path=".", **settings).read(folder)
    return list(source.utterances), list(source.bad)


def table(folder: Path, text: str, name: str = "manifest.tsv") -> None:
    (folder / name).write_bytes(text.encode())


def test_a_tsv_is_read_without_quoting(tmp_path: Path) -> None:
    table(tmp_path, "id\taudio\ttext\tspeaker\n1\ta.wav\tshe said \"no\tann\n2\tsub/b.wav\t'tis\tbob\n")
    utterances, bad = read(tmp_path)
    assert not bad
    assert [u.text for u in utterances] == ['she said "no', "'tis"]
    assert utterances[1].audio == str(tmp_path / "sub" / "b.wav")
    assert utterances[0].columns == {"speaker": "ann"}
    assert utterances[0].duration_s is None


def test_a_csv_is_read_with_quoting(tmp_path: Path) -> None:
    table(tmp_path, 'file,sentence\r\na.wav,"one, two"\r\nb.wav,"say ""hi""\nnow"\r\n', "all.csv")
    utterances, bad = read(tmp_path, transcripts="all.csv", audio_column="file", text_column="sentence")
    assert not bad
    assert [u.text for u in utterances] == ["one, two", 'say "hi"\nnow']
    assert [u.id for u in utterances] == ["a", "b"]


def test_a_byte_order_mark_and_windows_lines_do_no_harm(tmp_path: Path) -> None:
    table(tmp_path, "\ufeffaudio\ttext\r\na.wav\thello\r\n\r\n")
    utterances, bad = read(tmp_path)
    assert [(u.id, u.text) for u in utterances] == [("a", "hello")]
    assert not bad


def test_stretches_of_a_long_recording(tmp_path: Path) -> None:
    table(
        tmp_path,
        "id\taudio\tstart_s\tduration_s\tchannel\ttext\n1\ta.wav\t0.5\t1.25\t1\thello\n2\ta.wav\t\t3.0\t\tyou\n",
    )
    (first, second), _ = read(tmp_path)
    assert (first.start_s, first.duration_s, first.channel, first.file_s) == (0.5, 1.25, 1, None)
    assert (second.start_s, second.duration_s, second.channel, second.file_s) == (0.0, None, None, 3.0)


def test_rows_that_make_no_sense_are_bad_by_line(tmp_path: Path) -> None:
    table(
        tmp_path,
        "id\taudio\tduration_s\ttext\n1\ta.wav\t1.0\n2\t\t1.0\thello\n3\tc.wav\tlong\thello\n4\td.wav\t-1\thello\n"
        "5\te\0.wav\t1.0\thello\n6\tf.wav\t1.0\thello\n",
    )
    utterances, bad = read(tmp_path)
    assert [u.id for u in utterances] == ["6"]
    assert [b.reason for b in bad] == [
        "row has 3 fields, the header 4",
        "names no audio file",
        "duration_s is not a number: 'long'",
        "duration_s must not be below 0, got -1",
        "its path holds a zero byte",
    ]
    assert bad[0].id == "manifest.tsv:2"


@pytest.mark.parametrize(
    ("text", "settings", "hint"),
    [
        ("path\ttext\na.wav\thello\n", {}, r"has no column 'audio' \(have: path, text\)"),
        ("audio\ttext\na.wav\thello\n", {"id_column": "utt"}, "no column 'utt'"),
        ("audio\ttext\ttext\n", {}, "more than one column 'text'"),
        ("", {}, r"no column 'audio' \(have: none\)"),
    ],
)
def test_a_table_of_another_shape_is_refused(tmp_path: Path, text: str, settings: dict[str, Any], hint: str) -> None:
    table(tmp_path, text)
    with pytest.raises(DataError, match=hint):
        read(tmp_path, **settings)


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.tsv").write_bytes(b"audio\ttext\xff\n")
    with pytest.raises(DataError, match="its header is not UTF-8"):
        read(tmp_path)
    (tmp_path / "manifest.tsv").write_bytes(b"\xff\xfea\x00u\x00d\x00i\x00o\x00")
    with pytest.raises(DataError, match="is UTF-16 text"):
        read(tmp_path)
    table(tmp_path, 'audio,text\na.wav,"never closed\n', "bad.csv")
    with pytest.raises(DataError, match=r"bad\.csv:\d+ is not csv"):
        read(tmp_path, transcripts="bad.csv")


def test_what_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither manifest\.tsv nor \*\.trans\.txt"):
        read(tmp_path)
    with pytest.raises(DataError, match="relative paths are under ASRLAB_DATA"):
        Folder(path="nowhere").read(tmp_path)


def test_a_path_may_lead_elsewhere_since_it_is_only_decoded(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    soundfile.write(tmp_path / "outside.wav", np.zeros(800), 8000)
    table(inside, f"audio\ttext\n../outside.wav\ta\n{tmp_path}/outside.wav\tb\n/etc/passwd\tc\n/dev/zero\td\n")
    cuts = read_cuts([Folder(path="inside").build(tmp_path)], tmp_path)
    assert list(cuts.texts) == ["a", "b"]
    assert [b.reason for b in cuts.bad] == [
        "is not audio of a kind that is read (wav, flac, ogg, mp3, aiff, au, caf, sph)",
        "is not a regular file",
    ]


def test_a_librispeech_tree_needs_no_table(tmp_path: Path) -> None:
    chapter = tmp_path / "19" / "198"
    chapter.mkdir(parents=True)
    (chapter / "19-198.trans.txt").write_text("19-198-0000 HELLO THERE\n19-198-0001 GONE\n")
    soundfile.write(chapter / "19-198-0000.flac", np.zeros(1600), 16000)
    (first, second), bad = read(tmp_path)
    assert (first.id, first.text) == ("19-198-0000", "HELLO THERE")
    assert first.columns == {"speaker": "19", "chapter": "198"}
    assert second.audio.endswith("19-198-0001.flac")
    assert not bad


@pytest.mark.parametrize(
    ("name", "number"),
    [("fsdd", 2000), ("speechocean762", 4420), ("kerstin-de", 1344), ("asterisk-prompts-5lang", 2504)],
)
def test_real_folders_are_read_whole(speech: Path, name: str, number: int) -> None:
    source = Folder(path=name).read(speech)
    assert len(list(source.utterances)) == number
    assert not source.bad


def test_real_headers_agree_with_real_manifests(speech: Path) -> None:
    for name, where in [
        ("fsdd", {"speaker": "george"}),
        ("speechocean762", {"kind": "digits"}),
        ("asterisk-prompts-5lang", {"split": "test", "language": "ru"}),
        ("kerstin-de", {"split": "test"}),
        ("ljspeech-excerpt", {}),
        ("an4-mini", {}),
        ("gcompris-numbers-42lang", {"language": ["de", "zh_CN"]}),
        ("fleurs-du-mal-fr-excerpt", {}),
    ]:
        cuts = read_cuts([Folder(path=name, where=where).build(speech)], speech)
        assert not cuts.bad, name
        assert len(cuts)


def test_the_real_librispeech_excerpt_is_a_tree_and_a_table(speech: Path) -> None:
    folder = "librispeech-test-other-excerpt"
    by_table = read_cuts([Folder(path=folder).build(speech)], speech)
    by_tree = read_cuts([Folder(path=folder, transcripts="none.tsv").build(speech)], speech)
    assert not by_tree.bad
    assert sorted(by_tree.ids) == sorted(by_table.ids)
    texts = dict(zip(by_tree.ids, by_tree.texts, strict=True))
    assert all(texts[i].lower() == t for i, t in zip(by_table.ids, by_table.texts, strict=True))
