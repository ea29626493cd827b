"""`asr_lab.load`: a run's model from Python, on files, samples and live streams."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import asr_lab
from asr_lab import StreamUpdate, TimedWord, TrainedModel
from asr_lab.audio.reading import AudioError
from asr_lab.audio.resampling import resample
from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import CheckpointError, DataError, LabError, RecipeError, RunError
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.streaming import WHOLE, Frames, run_whole
from asr_lab.training.state import Snapshot, model_tensors
from asr_lab.training.store import CheckpointStore
from cli.transcribe import transcribe

RATE = 8000
README = Path(__file__).resolve().parents[3] / "README.md"
SPACE, OTHER = 2, 22
ATTENTION = ('type = "ctc"', 'type = "attention"\nnum_layers = 1\nnum_heads = 2\nmax_tokens = 8')
OFFLINE = ('contexts = [{ chunk_ms = 320, left_ms = 640 }, { chunk = "whole" }]', 'contexts = [{ chunk = "whole" }]')
Make = Callable[..., RunDirectory]


def melody(duration_s: float, seed: int = 0) -> np.ndarray:
    """Tones of a fifth of a second, some of them silent."""
    rng = np.random.default_rng(seed)
    time = np.arange(RATE // 5) / RATE
    tones = [rng.integers(0, 5) / 12 * np.sin(2 * np.pi * rng.uniform(200, 3000) * time) for _ in range(1000)]
    audio = np.concatenate(tones)[: round(duration_s * RATE)] + rng.normal(0, 0.003, round(duration_s * RATE))
    return np.round(audio * 32768).astype(np.int16)


@pytest.fixture
def make(recipe: Callable[..., Path]) -> Make:
    """A run of the small recipe, changed as asked, whose checkpoint holds weights that say something."""

    def write(*replacements: str) -> RunDirectory:
        document = load_recipe(recipe(*replacements))
        run = create_run(document, runs_root())
        model = seeded_model(document.value, document.value.tokenizer.build(None).vocab_size)
        make_talkative(model, document.value.features.build())
        snapshot = Snapshot({"model": model_tensors(model)}, {"progress": {"step": 1}})
        CheckpointStore(run.checkpoints).save(snapshot)
        return run

    return write


@torch.no_grad()
def make_talkative(model: SpeechModel, features: Any) -> None:
    """Let a CTC decoder that was never trained give many tokens, spaces among them."""
    head = model.heads[0]
    if not isinstance(head, CTCHead):
        return
    samples = torch.from_numpy(melody(6) / 32768).float()[None]
    frames = model.eval().encode(run_whole(features, Frames.whole(samples), WHOLE), WHOLE)[0].x[0]
    head.output.weight.normal_(0, 5, generator=torch.Generator().manual_seed(0))
    head.output.weight[[SPACE, OTHER]] = head.output.weight[[OTHER, SPACE]]
    head.output.bias.copy_(-(head.output.weight @ head.norm(frames).mean(0)))


@pytest.fixture
def model(make: Make) -> TrainedModel:
    return asr_lab.load(make().path)


def write(path: Path, audio: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, audio, rate, subtype="PCM_16")
    return path


def words_of(updates: list[StreamUpdate]) -> list[TimedWord]:
    return [word for update in updates for word in update.words]


def blocks(audio: np.ndarray, seed: int, longest: int = 3000) -> Iterator[np.ndarray]:
    """Pieces of random sizes, empty ones too."""
    rng = np.random.default_rng(seed)
    start = 0
    while start < len(audio):
        size = int(rng.integers(0, longest))
        yield audio[start : start + size]
        start += size


def streamed(model: TrainedModel, pieces: Any, rate: int = RATE, **how: Any) -> list[StreamUpdate]:
    with model.stream(rate, **how) as stream:
        return [*(update for piece in pieces for update in stream.push(piece)), stream.finish()]


def test_a_run_is_named_as_on_the_command_line(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    digest = run.resolved()["hash"]
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


@pytest.mark.parametrize("rate", [RATE, 2 * RATE, 11025])
def test_pieces_of_any_sizes_give_the_same_final_words(model: TrainedModel, rate: int) -> None:
    audio = resample((melody(5) / 32768).astype(np.float32), RATE, rate)
    whole = streamed(model, [audio], rate)
    expected = words_of(whole)
    assert len(expected) > 2
    for seed in range(3):
        found = streamed(model, blocks(audio, seed), rate)
        assert [w.text for w in words_of(found)] == [w.text for w in expected]
        assert [w.start_s for w in words_of(found)] == pytest.approx([w.start_s for w in expected])
        assert [w.confidence for w in words_of(found)] == pytest.approx([w.confidence for w in expected], abs=1e-3)
    assert whole[-1].audio_s == pytest.approx(len(audio) / rate, abs=1e-3)
    stereo = np.stack([audio, audio], 1)
    assert words_of(streamed(model, blocks(stereo, 0), rate)) == words_of(streamed(model, blocks(audio, 0), rate))


def test_words_come_while_audio_is_pushed_and_lie_in_what_was_decoded(model: TrainedModel) -> None:
    audio = melody(5)
    with model.stream(RATE) as stream:
        updates = stream.push(audio)
        assert len(words_of(updates)) > 1
        assert any(update.interim for update in updates)
        assert 5 - updates[-1].audio_s <= stream.delay_ms / 1000
        last = stream.finish()
    assert (last.interim, last.segment_ended, last.audio_s) == ("", True, 5)
    for update in (*updates, last):
        assert all(0 <= word.start_s < word.end_s <= update.audio_s + 0.04 for word in update.words)
    assert stream.notes == ("chunks of 320 ms, algorithmic delay 322.5 ms",)


def test_the_command_streams_what_python_streams(
    model: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = melody(3)
    transcribe([write(tmp_path / "a.wav", audio)], model.name, stream=True, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    printed = [word["word"] for line in lines for word in line["final"]]
    assert printed == [word.text for word in words_of(streamed(model, [audio]))]


def test_streams_of_one_model_do_not_notice_each_other(model: TrainedModel) -> None:
    one, other = melody(3, 1), melody(3, 2)
    first, second = model.stream(RATE), model.stream(RATE)
    found: tuple[list[StreamUpdate], ...] = [], []
    for start in range(0, len(one), 4000):
        found[0].extend(first.push(one[start : start + 4000]))
        found[1].extend(second.push(other[start : start + 4000]))
        model.transcribe(other, RATE)
    found[0].append(first.finish())
    found[1].append(second.finish())
    assert words_of(found[0]) == words_of(streamed(model, [one]))
    assert words_of(found[1]) == words_of(streamed(model, [other]))


def test_a_stream_that_has_ended_takes_no_more(model: TrainedModel) -> None:
    with model.stream(RATE) as stream:
        assert stream.finish().words == ()
        for call in (stream.finish, lambda: stream.push(melody(1))):
            with pytest.raises(ValueError, match="this stream has ended"):
                call()
    with model.stream(RATE) as stream:
        stream.push(melody(1))
    stream.close()
    with pytest.raises(ValueError, match="this stream has ended"):
        stream.push(melody(1))


def test_samples_that_cannot_be_used_leave_the_stream_as_it_was(model: TrainedModel) -> None:
    audio = melody(2)
    with model.stream(2 * RATE) as stream:
        updates = stream.push(audio[:5000])
        for wrong in (np.array([0.1, np.nan]), [1, 2], np.zeros((2, 9000)), audio.astype(np.float64)):
            with pytest.raises(DataError):
                stream.push(wrong)
        updates += stream.push(audio[5000:])
        updates.append(stream.finish())
    assert words_of(updates) == words_of(streamed(model, [audio[:5000], audio[5000:]], 2 * RATE))


@pytest.mark.parametrize(
    ("rate", "message"),
    [(2**31 - 1, "can be resampled"), (500, "can be resampled"), (16001, "too large a filter"), (None, "need their")],
)
def test_a_stream_at_an_absurd_rate_is_refused(model: TrainedModel, rate: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        model.stream(rate)


def test_a_model_that_cannot_stream_says_why_and_the_way_out(make: Make) -> None:
    model = asr_lab.load(make(*OFFLINE).path)
    with pytest.raises(RunError, match=r"part 2.mixer \(Attention\) cannot stream: .*can be tried with chunk_ms$"):
        model.stream(RATE)
    with pytest.raises(RunError, match="33 ms is not a whole number of frames"):
        model.stream(RATE, chunk_ms=33)
    for chunk_ms in (0, -40, float("nan"), float("inf")):
        with pytest.raises(RunError, match="a chunk lasts more than 0 ms"):
            model.stream(RATE, chunk_ms=chunk_ms)
    with model.stream(RATE, chunk_ms=320) as stream:
        assert stream.notes[-1] == "the model was not trained in chunks of 320 ms"
    loudest = make(*OFFLINE, 'floor = "fixed"', 'floor = "utterance"')
    with pytest.raises(RunError, match="lies below the loudest frame of the whole utterance"):
        asr_lab.load(loudest.path).stream(RATE, chunk_ms=320)


def test_an_attention_decoder_streams_by_local_agreement(make: Make) -> None:
    model = asr_lab.load(make(*ATTENTION).path)
    found = streamed(model, blocks(melody(3), 0))
    assert found[-1].audio_s == 3
    assert found[-1].times_from in ("attention", "proportion")
    assert "local agreement" in model.stream(RATE).notes[0]


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
    for name in re.findall(r'asr_lab\.load\("(.*?)"\)', shown[0]):
        make('name = "tiny"', f'name = "{name}"')
    write(tmp_path / "memo.wav", np.repeat(melody(4), 2), 16000)
    monkeypatch.chdir(tmp_path)
    exec(compile(shown[0], "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert any(re.fullmatch(r" +\d+\.\d\d +\d+\.\d\d  \d\.\d\d  \S+", line) for line in lines)
