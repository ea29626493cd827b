"""`asr_lab.load`: a run's model from Python, on files and samples."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from talkative import ATTENTION, RATE, Make, melody, write

import asr_lab
from asr_lab import TrainedModel
from asr_lab.audio.reading import AudioError
from asr_lab.audio.resampling import resample
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import CheckpointError, DataError, LabError, RecipeError, RunError
from asr_lab.runs.directory import create_run, runs_root
from cli.transcribe import transcribe

README = Path(__file__).resolve().parents[3] / "README.md"


def test_a_run_is_named_as_on_the_command_line(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    digest = run.resolved().hash
    root = runs_root()
    monkeypatch.setenv("ASRLAB_RUNS", "nowhere")
    for name in ("", "tiny", run.name, digest[:8], str(run.path), run.path):
        found = asr_lab.load(name, root=root)
        assert (found.name, found.sample_rate, str(found.device)) == (run.name, RATE, "cpu")
    assert repr(found) == f"<TrainedModel {run.name}, step-00000001, 8000 Hz, cpu>"
    assert asr_lab.load("tiny", root=root, overrides=["decode.beam=4"]).decode.beam == 4
    checkpoint = run.checkpoints / "step-00000001"
    assert asr_lab.load("tiny", root=root, checkpoint=checkpoint, device="cpu").loaded.checkpoint == checkpoint


def test_what_cannot_be_loaded_says_why(make: Make, recipe: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run under .* has a checkpoint"):
        asr_lab.load()
    run = make()
    with pytest.raises(RunError, match=f"no run 'other' under .*; there are: {run.name}"):
        asr_lab.load("other")
    with pytest.raises(CheckpointError, match="neither a checkpoint nor a run with one"):
        asr_lab.load("tiny", checkpoint="/nowhere")
    with pytest.raises(LabError, match=r"encoder\.dim decides what was trained"):
        asr_lab.load("tiny", overrides=["encoder.dim=32"])
    with pytest.raises(RecipeError, match="have: ctc, auto"):
        asr_lab.load("tiny", overrides=["decode.decoder='attention'"])
    with pytest.raises(LabError, match=r"a list of KEY=VALUE: \['decode.beam=4'\]"):
        asr_lab.load("tiny", overrides="decode.beam=4")
    with pytest.raises(LabError, match="device 'gpu' cannot be used"):
        asr_lab.load("tiny", device="gpu")
    untrained = create_run(load_recipe(recipe("seed = 7", "seed = 8")), tmp_path / "runs")
    with pytest.raises(CheckpointError, match="no checkpoint 'last'"):
        asr_lab.load(untrained.path)


def test_a_file_and_its_samples_in_any_form_give_the_same_transcript(model: TrainedModel, tmp_path: Path) -> None:
    audio = melody(4)
    expected = model.transcribe(write(tmp_path / "a.wav", audio))
    assert len(expected.text.split()) > 2
    assert str(expected) == expected.text == " ".join(map(str, expected.words or ()))
    floats = (audio / 32768).astype(np.float32)
    stereo = np.stack([audio, audio], 1)
    for samples in (audio, floats, floats.tolist(), torch.from_numpy(floats), torch.from_numpy(audio), stereo):
        assert model.transcribe(samples, RATE) == expected
    assert model.transcribe(str(write(tmp_path / "b.wav", stereo))) == expected


def test_channels_are_mixed(model: TrainedModel) -> None:
    left, right = melody(2, 1) / 32768, melody(2, 2) / 32768
    both = np.stack([left, right], 1).astype(np.float32)
    assert model.transcribe(both, RATE) == model.transcribe(both.mean(1), RATE)
    assert model.transcribe(both, RATE) != model.transcribe(left, RATE)


@pytest.mark.parametrize("rate", [16000, 44100, 11025, 7999])
def test_samples_at_another_rate_are_resampled(model: TrainedModel, tmp_path: Path, rate: int) -> None:
    audio = resample((melody(2) / 32768).astype(np.float32), RATE, rate)
    found = model.transcribe(audio, rate)
    assert found.text == model.transcribe(resample(audio, rate, RATE), RATE).text
    assert found.duration_s == pytest.approx(2, abs=1e-3)
    written = write(tmp_path / "a.wav", np.round(audio * 32768).astype(np.int16), rate)
    assert model.transcribe(written) == model.transcribe(np.round(audio * 32768).astype(np.int16), rate)


def test_a_long_recording_is_decoded_in_pieces_and_words_lie_in_it_in_order(
    model: TrainedModel, tmp_path: Path
) -> None:
    audio = np.concatenate([melody(35, seed) for seed in (3, 4)])[:-13]
    found = model.transcribe(audio, 2 * RATE)
    long = model.transcribe(audio, RATE)
    assert model.transcribe(write(tmp_path / "a.wav", audio)) == long
    assert len(long.segments) > 2
    assert found.duration_s == pytest.approx(35, abs=0.01)
    for transcript in (found, long):
        words = transcript.words
        assert words is not None
        assert [str(word) for word in words] == transcript.text.split()
        times = [t for word in words for t in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert 0 <= times[0] < times[-1] <= transcript.duration_s
        assert all(word.start_s < word.end_s and 0 < word.confidence <= 1 for word in words)
        assert transcript.text == " ".join(s.text for s in transcript.segments if s.text)
        ends = [segment.end_s for segment in transcript.segments]
        assert ends[:-1] == pytest.approx([segment.start_s for segment in transcript.segments[1:]], abs=1e-3)


def test_the_command_prints_what_python_gives(
    model: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.wav", melody(3))
    transcribe([path], model.name, as_json=True)
    (record,) = json.loads(capsys.readouterr().out)
    found = model.transcribe(path)
    assert record["text"] == found.text
    assert record["duration_s"] == found.duration_s == 3
    assert found.words is not None
    assert [w["word"] for w in record["words"]] == [w.text for w in found.words]
    assert [w["end_s"] for w in record["words"]] == [round(w.end_s, 3) for w in found.words]
    assert record.keys() == {"file", "text", "duration_s", "segments", "words"}


def test_without_times_the_transcript_says_why(make: Make, model: TrainedModel) -> None:
    audio = melody(1)
    plain = model.transcribe(audio, RATE, words=False)
    assert plain.text == model.transcribe(audio, RATE).text
    assert (plain.words, plain.no_times_because) == (None, "they were not asked for")
    assert model.transcribe(audio, RATE).no_times_because == ""
    without = asr_lab.load(make(*ATTENTION).path).transcribe(audio, RATE)
    assert without.words is None
    assert without.no_times_because == "the model has no CTC decoder, which word times are read from"


def test_what_cannot_be_transcribed_says_why(model: TrainedModel, tmp_path: Path) -> None:
    wrong: list[tuple[tuple[Any, ...], str]] = [
        ((np.zeros(0), RATE), "there are no samples"),
        ((melody(1),), "need their sample rate in Hz beside them"),
        ((melody(1), "8000"), "a whole number of Hz above 0"),
        ((melody(1), 2**31 - 1), "a sample rate of 2,147,483,647 Hz; 1,000 to 768,000 Hz can be resampled"),
        ((melody(1), 1_000_003), "a sample rate of 1,000,003 Hz"),
        ((melody(1), 999), "a sample rate of 999 Hz"),
        ((melody(1), 767_999), "too large a filter; give a usual rate"),
        ((np.zeros((2, 9000)), RATE), "transpose it"),
        ((np.array([0.1, np.nan]), RATE), "not finite numbers, first at sample 1"),
        ((melody(1).astype(np.int64), RATE), "got int64"),
        ((tmp_path / "a.wav", RATE), "a file holds its sample rate itself"),
    ]
    for given, message in wrong:
        with pytest.raises(DataError, match=message):
            model.transcribe(*given)
    (tmp_path / "a.wav").write_text("no")
    for path, message in (("a.wav", "is not audio"), ("b.wav", "no such file"), ("", "is not a regular file")):
        with pytest.raises(AudioError, match=message):
            model.transcribe(tmp_path / path)


def test_one_sample_and_silence_give_an_empty_text_or_little(model: TrainedModel) -> None:
    for samples in ([0.0], np.zeros(RATE, np.int16)):
        found = model.transcribe(samples, RATE)
        assert found.duration_s == len(samples) / RATE
        assert all(word.end_s <= found.duration_s for word in found.words or ())


def test_importing_asr_lab_loads_neither_torch_nor_numpy() -> None:
    script = (
        "import sys, asr_lab\n"
        "assert not {'torch', 'numpy', 'attrs'} & set(sys.modules)\n"
        "from asr_lab import LabError, load\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_face_gives_what_it_names_and_nothing_else() -> None:
    assert all(getattr(asr_lab, name).__name__ == name for name in asr_lab.__all__)
    with pytest.raises(AttributeError, match="'asr_lab' has no attribute 'laod'"):
        _ = asr_lab.laod  # type: ignore[attr-defined]


def test_the_lines_of_the_readme_work_on_a_small_run(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = [b for b in re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL) if "asr_lab.load" in b]
    assert len(shown) == 1
    for name in set(re.findall(r'asr_lab\.load\("(.*?)"\)', shown[0])):
        make('name = "tiny"', f'name = "{name}"')
    write(tmp_path / "memo.wav", np.repeat(melody(4), 2), 16000)
    monkeypatch.chdir(tmp_path)
    exec(compile(shown[0], "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert any(re.fullmatch(r" +\d+\.\d\d +\d+\.\d\d  \d\.\d\d  \S+", line) for line in lines)
