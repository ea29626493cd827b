"""`align`, as a user runs it on a trained run."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from asr_lab.errors import LabError
from asr_lab.runs.directory import RunDirectory
from cli.align import align
from cli.main import main

Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
Train = Callable[[Path], RunDirectory]
ATTENTION = '[[decoder]]\ntype = "attention"\nnum_layers = 1\nnum_heads = 2'


def asrlab(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    """The exit code of the command line as a shell would see it."""
    monkeypatch.setattr(sys, "argv", ["asrlab", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_a_text_is_found_in_a_recording_as_a_table_json_and_ctm(
    trained: RunDirectory, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    audio, text = tones / "tones" / "0.wav", tmp_path / "text.txt"
    text.write_text("one \n two\n")
    assert asrlab(monkeypatch, "align", str(audio), str(text), "--run", trained.name, "--json") == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[0].startswith(f"{trained.name}, step 2 (best), WER ")
    [record] = json.loads(out)
    assert (record["id"], record["file"], record["text"]) == ("0", str(audio), "one two")
    assert record["mean_log_prob"] < 0
    words = record["words"]
    assert [w["word"] for w in words] == ["one", "two"]
    assert 0 <= words[0]["start_s"] < words[0]["end_s"] <= words[1]["start_s"] < words[1]["end_s"] <= 0.81
    assert all(0 < w["confidence"] < 1 for w in words)

    align(audio, "one two", as_ctm=True)
    lines = [line.split(" ") for line in capsys.readouterr().out.splitlines()]
    assert [(line[0], line[1], line[4]) for line in lines] == [("0", "1", "one"), ("0", "1", "two")]
    for line, word in zip(lines, words, strict=True):
        assert float(line[2]) == pytest.approx(word["start_s"], abs=2e-3)
        assert float(line[2]) + float(line[3]) == pytest.approx(word["end_s"], abs=2e-3)
        assert float(line[5]) == pytest.approx(word["confidence"], abs=1e-3)

    align(audio, "one two")
    table = capsys.readouterr().out.splitlines()
    assert [row.split()[-1] for row in table] == ["word", "one", "two"]


def test_the_pairs_of_a_table_are_aligned_and_those_that_cannot_be_are_named(
    trained: RunDirectory, tones: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = tones / "tones"
    table = tmp_path / "pairs.tsv"
    rows = [
        f"first one\t{folder}/0.wav\tone two\t\t",
        f"late\t{folder}/1.wav\ttwo\t0.4\t0.4",
        f"é\t{folder}/2.wav\tcafé\t\t",
        f"long\t{folder}/3.wav\t{'one ' * 30}\t\t",
        f"gone\t{tmp_path}/gone.wav\tone\t\t",
        f"empty\t{folder}/4.wav\t \t\t",
        "broken row",
    ]
    table.write_text("\n".join(["id\taudio\ttext\tstart_s\tduration_s", *rows]) + "\n")
    with pytest.raises(typer.Exit) as caught:
        align(table, as_ctm=True)
    assert caught.value.exit_code == 2
    out, err = capsys.readouterr()
    lines = [line.split(" ") for line in out.splitlines()]
    assert [(line[0], line[4]) for line in lines] == [("first_one", "one"), ("first_one", "two"), ("late", "two")]
    assert 0.4 <= float(lines[2][2]) < 0.81
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 5, errors
    assert any("pairs.tsv:8" in e and "fields" in e for e in errors)
    assert any("2.wav" in e and "'c' (U+0063, LATIN SMALL LETTER C)" in e for e in errors), errors
    assert any("3.wav" in e and re.search(r"\d+ frames of 40 ms cannot spell 119 tokens", e) for e in errors)
    assert any("gone.wav: no such file" in e for e in errors)
    assert any("4.wav" in e and "no words" in e for e in errors)


def test_what_cannot_be_aligned_at_all_is_told_in_one_line_with_exit_code_2(
    trained: RunDirectory, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    audio, noise = str(tones / "tones" / "0.wav"), tmp_path / "noise.wav"
    noise.write_bytes(b"RIFF no audio at all")
    wrong = {
        (audio,): "no text for",
        (audio, "one", "--ctm", "--json"): "cannot both",
        (audio, str(tmp_path / "none.txt")): "no such file",
        (str(tmp_path / "none.tsv"),): "none.tsv",
        (str(tmp_path / "none.tsv"), "one"): "no TEXT may follow",
        (str(noise), "one"): "noise.wav",
        (audio, "one", "--run", "nowhere"): "nowhere",
    }
    for words, message in wrong.items():
        assert asrlab(monkeypatch, "align", *words) == 2
        err = capsys.readouterr().err
        assert message in err
        assert "Traceback" not in err
        assert err.count("error: ") == 1


def test_a_run_without_a_ctc_decoder_is_refused(recipe: Write, train: Train, tones: Path) -> None:
    run = train(recipe('[[decoder]]\ntype = "ctc"', ATTENTION, "max_steps = 12", "max_steps = 1"))
    with pytest.raises(LabError, match=f"{run.name} has no CTC decoder .have: attention"):
        align(tones / "tones" / "0.wav", "one two", run.name)


def test_files_of_any_name_are_found_and_printed(
    trained: RunDirectory, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name in ("cafe\u0301.wav", "\udce9.wav"):
        (tmp_path / name).symlink_to(tones / "tones" / "0.wav")
    (tmp_path / "t.tsv").write_bytes(b"audio\ttext\ncaf\xc3\xa9.wav\tone\n\xe9.wav\ttwo\n")
    assert asrlab(monkeypatch, "align", str(tmp_path / "t.tsv"), "--run", trained.name, "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert [(r["id"], r["file"], r["text"]) for r in records] == [
        ("café", f"{tmp_path}/cafe\u0301.wav", "one"),
        ("\\xe9", f"{tmp_path}/\udce9.wav", "two"),
    ]
