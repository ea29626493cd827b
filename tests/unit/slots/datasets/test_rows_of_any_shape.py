"""Manifests with odd rows: each is an utterance or a bad row with its reason."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_lab.data.cuts import read_cuts
from asr_lab.errors import DataError
from asr_lab.slots.datasets.folder import Folder

sys.path.insert(0, str(Path(__file__).parents[3] / "fuzz"))

import rows


def read(folder: Path, table: str | bytes, **settings: Any) -> tuple[list[str], dict[str, str]]:
    """The ids of the cuts of a table over two recordings of a second, and the reasons of the bad ones."""
    for name in ("a.wav", "b.wav", "a.flac"):
        soundfile.write(folder / name, np.full(8000, 0.1), 8000)
    (folder / "manifest.tsv").write_bytes(table.encode() if isinstance(table, str) else table)
    cuts = read_cuts([Folder(path=".", **settings).build(folder)], folder)
    return list(cuts.ids), {bad.id: bad.reason for bad in cuts.bad}


@pytest.mark.parametrize("number", range(60))
def test_no_row_of_a_changed_manifest_is_lost(tmp_path: Path, number: int) -> None:
    written = rows.write(tmp_path / "data", random.Random(f"gate {number}"))
    assert not rows.lost(written)


def test_stretches_of_one_file_have_ids_of_their_own(tmp_path: Path) -> None:
    table = "audio\tstart_s\tduration_s\tchannel\ttext\n"
    table += "a.wav\t0\t0.5\t\tone\na.wav\t0.5\t0.5\t\ttwo\na.wav\t0.5\t0.5\t0\tthree\nb.wav\t\t\t\tfour\n"
    assert read(tmp_path, table) == (["a@0", "a@0.5", "a@0.5-c0", "b"], {})


def test_files_that_differ_in_their_ending_alone_are_two(tmp_path: Path) -> None:
    assert read(tmp_path, "audio\ttext\na.wav\tone\na.flac\ttwo\n") == (["a", "a.flac"], {})


def test_rows_that_are_truly_equal_are_named(tmp_path: Path) -> None:
    ids, bad = read(tmp_path, "audio\tstart_s\ttext\na.wav\t0.5\tone\n./a.wav\t0.50\tone\n")
    assert ids == ["a@0.5"]
    assert bad == {"a@0.5": "a second utterance is called 'a@0.5'"}


def test_a_row_without_an_id_is_called_by_its_path(tmp_path: Path) -> None:
    assert read(tmp_path, "id\taudio\ttext\n\ta.wav\tone\n\tb.wav\ttwo\n") == (["a", "b"], {})


def test_an_end_is_understood(tmp_path: Path) -> None:
    for name in ("a.wav",):
        soundfile.write(tmp_path / name, np.full(8000, 0.1), 8000)
    table = "audio\tstart_s\tend_s\ttext\na.wav\t0.1\t0.4\tone\na.wav\t\t0.4\ttwo\na.wav\t0.4\t\tthree\n"
    (tmp_path / "manifest.tsv").write_text(table)
    cuts = read_cuts([Folder(path=".").build(tmp_path)], tmp_path)
    assert list(zip(cuts.ids, cuts.start_s.tolist(), cuts.duration_s.tolist(), strict=True)) == [
        ("a@0.1", 0.1, 0.3),
        ("a@0", 0.0, 0.4),
        ("a@0.4", 0.4, 0.6),
    ]


@pytest.mark.parametrize(
    ("head", "values", "reason"),
    [
        ("start_s\tend_s", "0.5\t0.5", "end_s must be after start_s, got 0.5 to 0.5"),
        ("start_s\tend_s\tduration_s", "0\t0.5\t0.4", "end_s and duration_s disagree: 0.5 s and 0.4 s"),
        ("start_s", "1_0", "start_s is not a number: '1_0'"),
        ("start_s", "nan", "start_s is not a number: 'nan'"),
        ("start_s", "0,5", "start_s is not a number: '0,5'"),
        ("start_s", "٣", "start_s is not a number: '٣'"),
        ("start_s", "-inf", "start_s must not be below 0, got -inf"),
        ("duration_s", "9" * 5000, f"duration_s is too large: '{'9' * 59}…"),
        ("start_s", "7", "starts at 7 s, the file lasts 1.00 s"),
        ("channel", "-1", "channel must be a whole number from 0, got '-1'"),
        ("channel", "1.0", "channel must be a whole number from 0, got '1.0'"),
        ("channel", "9" * 5000, f"channel must be a whole number from 0, got '{'9' * 59}…"),
        ("channel", "40000", "has no channel 40000, only 1 (counted from 0)"),
        ("channel", "1", "has no channel 1, only 1 (counted from 0)"),
        ("speaker", "a\0b", "speaker holds a zero byte"),
    ],
)
def test_values_out_of_range_are_bad_rows(tmp_path: Path, head: str, values: str, reason: str) -> None:
    table = f"id\taudio\ttext\t{head}\ngood\ta.wav\tone{chr(9) * (1 + head.count(chr(9)))}\nu\ta.wav\tone\t{values}\n"
    assert read(tmp_path, table) == (["good"], {"u": reason})


def test_a_row_that_is_not_utf_8_is_bad_and_its_file_name_may_be(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "c.wav").encode(), np.full(8000, 0.1), 8000)
    (tmp_path / "c.wav").rename(tmp_path / "\udce9.wav")
    ids, bad = read(tmp_path, b"audio\ttext\na.wav\tcaf\xe9\n\xe9.wav\tone\n")
    assert ids == ["\\xe9"]
    assert bad == {"manifest.tsv:2": "text is not UTF-8: 'caf\\udce9'"}


@pytest.mark.parametrize(
    ("column", "meant"),
    [
        ("end", "end_s, in seconds"),
        ("stop", "end_s, in seconds"),
        ("end_time", "end_s, in seconds"),
        ("End_S", "end_s, in seconds"),
        ("offset", "start_s, in seconds"),
        ("start (s)", "start_s, in seconds"),
        ("startTime", "start_s, in seconds"),
        ("segment_start", "start_s, in seconds"),
        ("begin_ms", "start_s, in seconds"),
        ("duration", "duration_s, in seconds"),
        ("duration[ms]", "duration_s, in seconds"),
        ("dur", "duration_s, in seconds"),
        ("audio_length", "duration_s, in seconds"),
        ("Channel", "channel"),
    ],
)
def test_a_column_that_plainly_means_a_stretch_is_refused_with_the_one_to_write(
    tmp_path: Path, column: str, meant: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, f"audio\ttext\t{column}\na.wav\tone\t0.5\n")
    assert f"the column {column!r} is not read" in str(caught.value)
    assert f"; call it {meant}, or something else where" in str(caught.value)


@pytest.mark.parametrize("column", ["dialect", "endpoint", "stopwords", "text_length", "sentence", "len", "state"])
def test_other_columns_are_kept_without_a_word(tmp_path: Path, column: str, recwarn: pytest.WarningsRecorder) -> None:
    assert read(tmp_path, f"audio\ttext\t{column}\na.wav\tone\tx\n", where={column: "x"}) == (["a"], {})
    assert not [w for w in recwarn if "is not read" in str(w.message)]


@pytest.mark.parametrize("column", ["star_s", "durations", "channels", "end_ss"])
def test_a_column_that_is_nearly_one_is_told(tmp_path: Path, column: str) -> None:
    with pytest.warns(UserWarning, match=rf"the column '{column}' is not read; did you mean"):
        read(tmp_path, f"audio\ttext\t{column}\na.wav\tone\tx\n")


def test_a_column_that_the_recipe_names_means_what_it_names(tmp_path: Path) -> None:
    assert read(tmp_path, "audio\toffset\na.wav\tone\n", text_column="offset") == (["a"], {})


def test_csv_rows_that_are_none_are_bad_and_the_others_are_read(tmp_path: Path) -> None:
    read(tmp_path, "audio\ttext\na.wav\tone\n")
    (tmp_path / "t.csv").write_bytes(
        b'audio,text\r\na.wav,"one"x\r\na.wav,two\r\nb.wav,a\0b\n' + b"x" * 200_000 + b"\nb.wav,\xff\n"
    )
    cuts = read_cuts([Folder(path=".", transcripts="t.csv").build(tmp_path)], tmp_path)
    assert list(cuts.texts) == ["two"]
    assert [bad.reason for bad in cuts.bad] == [
        "is not csv: ',' expected after '\"'",
        "text holds a zero byte",
        "is not csv: field larger than field limit (131072)",
        "text is not UTF-8: '\\udcff'",
    ]
