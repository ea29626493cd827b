"""`transcribe --stream` as a user runs it on a trained run."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import typer

from asr_lab.audio.reading import AudioError
from asr_lab.commands.streaming_run import streaming_run_of
from asr_lab.errors import MissingPackageError, RunError
from asr_lab.runs.directory import RunDirectory
from cli.transcribe import transcribe

Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
Train = Callable[[Path], RunDirectory]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Gives bytes to the next command."""

    def give(content: bytes) -> None:
        pipe = io.TextIOWrapper(io.BytesIO(content))
        monkeypatch.setattr(sys, "stdin", pipe)

    return give


def lines_of(capsys: Capture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def words_in(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [word for line in lines for word in line["final"]]


def test_a_recording_a_wav_on_stdin_and_raw_samples_say_the_same(
    trained: RunDirectory, tones: Path, stdin: Callable[[bytes], None], capsys: Capture
) -> None:
    path = tones / "tones" / "0.wav"
    transcribe([path], trained.name, stream=True, as_json=True)
    lines = lines_of(capsys)
    assert lines[-1]["stream_ended"]
    assert lines[-1]["audio_s"] == pytest.approx(0.8)
    assert all(0 <= word["confidence"] <= 1 and 0 <= word["start_s"] <= 0.8 for word in words_in(lines))
    stdin(path.read_bytes())
    transcribe([Path("-")], trained.name, stream=True, as_json=True)
    assert lines_of(capsys) == lines
    samples, _ = soundfile.read(path, dtype="int16")
    stdin(samples.astype("<i2").tobytes())
    transcribe([Path("-")], trained.name, stream=True, sample_rate=8000, as_json=True)
    assert lines_of(capsys) == lines
    transcribe([path], trained.name, stream=True)
    out, err = capsys.readouterr()
    assert out.split() == [word["word"] for word in words_in(lines)]
    assert "chunks of 320 ms, algorithmic delay 322.5 ms" in err
    assert "not trained" not in err
    transcribe([path], trained.name, stream=True, chunk_ms=160)
    assert "note: the model was not trained in chunks of 160 ms" in capsys.readouterr().err


def test_what_cannot_stream_says_why_and_the_way_out(
    recipe: Write, train: Train, stdin: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = 'contexts = [{ chunk_ms = 320, left_ms = 640 }, { chunk = "whole" }]'
    run = train(recipe(contexts, 'contexts = [{ chunk = "whole" }]', "max_steps = 12", "max_steps = 1"))
    with pytest.raises(RunError, match=r"part 2.mixer \(Attention\) cannot stream: .*can be tried with --chunk-ms"):
        streaming_run_of(run, "best")
    with pytest.raises(RunError, match="not a whole number of frames"):
        streaming_run_of(run, "best", (), 33)
    with pytest.raises(AudioError, match=r"nowhere\.wav: no such file"):
        transcribe([Path("nowhere.wav")], run.name, stream=True, chunk_ms=320)
    stdin(b"RIFF....")
    with pytest.raises(AudioError, match="ends within the header of a wav"):
        transcribe([Path("-")], run.name, stream=True, chunk_ms=320)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingPackageError, match="sounddevice"):
        transcribe([], run.name, microphone=True, chunk_ms=320)


def test_an_attention_decoder_streams_by_local_agreement(
    recipe: Write, train: Train, tones: Path, capsys: Capture
) -> None:
    attention = 'type = "attention"\nnum_layers = 1\nnum_heads = 2\nmax_tokens = 8'
    data = "[data]\nmax_left_out = 0.9"  # most texts have more than 8 tokens
    run = train(recipe('type = "ctc"', attention, "max_steps = 12", "max_steps = 1", "[data]", data))
    capsys.readouterr()
    transcribe([tones / "tones" / "0.wav"], run.name, stream=True, as_json=True)
    out, err = capsys.readouterr()
    assert "note: local agreement: every 1000 ms, up to 15 s of audio are decoded anew" in err
    assert "note: not by CTC: the model has no CTC decoder (have: attention)" in err
    last = json.loads(out.splitlines()[-1])
    assert last["stream_ended"]
    assert last["audio_s"] == pytest.approx(0.8)
    with pytest.raises(RunError, match="no CTC decoder"):
        streaming_run_of(run, "best", (), 320)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"files": []}, "give a FILE, or --microphone"),
        ({"files": ["-"]}, "- needs --stream"),
        ({"files": ["a"], "chunk_ms": 80}, "have an effect with --stream only"),
        ({"files": ["a"], "stream": True, "sample_rate": 8000}, "raw audio on stdin"),
        ({"files": ["a", "b"], "stream": True}, "one FILE, or - for stdin; got 2"),
        ({"files": ["a"], "microphone": True}, "takes the place of a FILE"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given: dict[str, Any], message: str) -> None:
    files = [Path(name) for name in given.pop("files")]
    with pytest.raises(typer.BadParameter, match=message):
        transcribe(files, **given)
