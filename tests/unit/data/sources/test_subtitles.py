"""SubRip and WebVTT as they are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lab.data.sources.subtitles import read_cues

SRT = (
    "\ufeff1\r\n00:00:01,500 --> 00:00:03,000\r\n<i>Hello</i>\r\n{\\an8}there\r\n\r\n2\r\n"
    "00:00:03,000 --> 00:00:04,250\r\n\r\n3\r\n01:02:03,004 --> 01:02:04,005\r\nTom &amp; I\r\n"
)
VTT = (
    "WEBVTT - a title\n\nNOTE\nnothing --> here\n\nSTYLE\n::cue { color: red }\n\nintro\n"
    "00:01.500 --> 00:03.000 align:start\n"
    "<v.loud Ann Lee>Hello <c.x>there</c>\n\n00:03.000 --> 00:04.250\n<00:03.500>who's\nthis\n"
)


def cues(tmp_path: Path, name: str, text: str) -> list[tuple[float, float, str, str]]:
    (tmp_path / name).write_bytes(text.encode())
    return [(c.start_s, c.end_s, c.text, c.speaker) for c in read_cues(tmp_path / name) if not c.problem]


def test_subrip_is_read(tmp_path: Path) -> None:
    assert cues(tmp_path, "a.srt", SRT) == [
        (1.5, 3.0, "Hello there", ""),
        (3723.004, 3724.005, "Tom & I", ""),
    ]


def test_webvtt_is_read(tmp_path: Path) -> None:
    found = cues(tmp_path, "a.vtt", VTT)
    assert not any(cue.problem for cue in read_cues(tmp_path / "a.vtt"))
    assert found == [(1.5, 3.0, "Hello there", "Ann Lee"), (3.0, 4.25, "who's this", "")]


def test_cues_without_a_blank_line_between_are_two(tmp_path: Path) -> None:
    text = "1\n00:00:00,000 --> 00:00:01,000\none\n2\n00:00:01,000 --> 00:00:02,000\ntwo\n"
    assert [c[2] for c in cues(tmp_path, "a.srt", text)] == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("00:00:02,000 --> 00:00:01,000\nback\n", "ends before it starts"),
        ("00:00:0x --> 00:00:01,000\nodd\n", "is no line of times"),
    ],
)
def test_times_that_make_no_sense_are_told(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.srt").write_text(text)
    (cue,) = read_cues(tmp_path / "a.srt")
    assert reason in cue.problem


def test_a_text_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_bytes(b"00:00:01,000 --> 00:00:02,000\ncaf\xe9\n")
    (cue,) = read_cues(tmp_path / "a.srt")
    assert cue.problem == "is not UTF-8"
