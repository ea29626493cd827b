"""`eval`, `transcribe`, `compare`, `results`, as a user runs them on a trained run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer

from asr_lab.errors import CheckpointError, DataError, RunError
from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.training.store import CheckpointStore
from cli.compare import compare
from cli.eval import eval as evaluate
from cli.results import results
from cli.transcribe import transcribe

Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def trained(recipe: Write, train: Callable[[Path], RunDirectory]) -> RunDirectory:
    return train(recipe("max_steps = 12", "max_steps = 4"))


def test_eval_gives_the_runs_own_score_again(trained: RunDirectory, capsys: Capture) -> None:
    before = json.loads((trained.eval / "test.json").read_text())
    evaluate(as_json=True)
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["rates"] == before["rates"]
    assert found["hash"] == before["hash"]
    assert found["about"]["read"] == 2
    assert trained.name in err
    assert "scored 2 times" in err
    assert Path(found["hypotheses"]).exists()
    evaluate(trained.name)
    text = capsys.readouterr().out
    assert text.splitlines()[0].startswith(f"{trained.name}, step 4 (best), WER ")
    assert "words (WER)" in text
    assert (trained.path / "report.html").exists()


def test_eval_takes_other_data_and_other_decoding(trained: RunDirectory, tones: Path, capsys: Capture) -> None:
    own = (trained.eval / "test.json").read_text()
    slot = '{type="folder", path="tones", name="ann", where={speaker="s1"}}'
    evaluate(trained.name, [str(tones / "tones"), slot], "last", ["decode.beam=2", "score.bootstrap=100"], True)
    found = json.loads(capsys.readouterr().out)
    assert {one["name"]: one["utterances"] for one in found["sets"]} == {"tones": 36, "ann": 12}
    assert found["about"]["decode"]["beam"] == 2
    assert found["interval"]["resamples"] == 100
    assert found["about"]["checkpoint"] == "step-00000004"
    assert (trained.eval / "test.json").read_text() == own
    evaluate(trained.name, [str(tones / "tones" / "manifest.tsv")], as_json=True)
    assert json.loads(capsys.readouterr().out)["name"] == "tones"


def test_eval_counts_what_it_cannot_read_as_deleted_unless_told_to_leave_it_out(
    trained: RunDirectory, tmp_path: Path, tones: Path, capsys: Capture
) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    (folder / "a.wav").write_bytes((tones / "tones" / "0.wav").read_bytes())
    (folder / "b.wav").write_text("not audio")
    (folder / "manifest.tsv").write_text("audio\ttext\na.wav\tone two\nb.wav\tthree\nc.wav\tfour\n")
    evaluate(trained.name, [str(folder)], as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["utterances"], found["rates"]["wer"]["reference"]) == (3, 4)
    evaluate(trained.name, [str(folder)], overrides=["score.unreadable=left_out"], as_json=True)
    fewer = json.loads(capsys.readouterr().out)
    assert (fewer["utterances"], fewer["rates"]["wer"]["reference"]) == (1, 2)
    assert found["rates"]["wer"]["deletions"] == fewer["rates"]["wer"]["deletions"] + 2
    assert found["unreadable"]["utterances"] == fewer["unreadable"]["utterances"]
    assert {(Path(cut["audio"]).name, cut["set"]) for cut in found["unreadable"]["utterances"]} == {
        ("b.wav", "some"),
        ("c.wav", "some"),
    }


def test_eval_refuses_absent_weights_and_data(trained: RunDirectory) -> None:
    with pytest.raises(CheckpointError):
        evaluate(trained.name, checkpoint="/nowhere")
    with pytest.raises(DataError, match="no such file"):
        evaluate(trained.name, ["nowhere"])


def test_transcribe_reads_every_format_and_goes_on_after_a_bad_file(
    trained: RunDirectory, tmp_path: Path, capsys: Capture
) -> None:
    rate, files = 16000, []
    tone = 0.3 * np.sin(2 * np.pi * 400 * np.arange(rate) / rate)
    formats = {"wav": {}, "flac": {}, "ogg": {}, "opus": {"format": "OGG", "subtype": "OPUS"}, "mp3": {}}
    for name, how in formats.items():
        files.append(tmp_path / f"a.{name}")
        soundfile.write(files[-1], np.stack([tone, tone], 1), rate, **how)
    files.insert(2, tmp_path / "bad.wav")
    files[2].write_text("no")
    with pytest.raises(typer.Exit) as caught:
        transcribe(files, trained.name, as_json=True)
    assert caught.value.exit_code == 2
    out, err = capsys.readouterr()
    records = json.loads(out)
    assert [Path(r["file"]).name for r in records] == [f.name for f in files]
    assert "bad.wav" in err
    assert "error" in records[2]
    for record in records[:2] + records[3:]:
        assert record["duration_s"] == pytest.approx(1, abs=0.1)
        assert " ".join(w["word"] for w in record["words"]) == record["text"]
        assert all(0 <= w["start_s"] < w["end_s"] <= 1.1 and 0 <= w["confidence"] <= 1 for w in record["words"])
    transcribe(files[:2], trained.name)
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == [str(f) for f in files[:2]]
    transcribe(files[:1], trained.name)
    assert capsys.readouterr().out == records[0]["text"] + "\n"


def test_compare_takes_runs_and_files(trained: RunDirectory, capsys: Capture) -> None:
    compare(trained.name, str(trained.eval / "test.json"), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["rates"]["wer"]["difference"], found["rates"]["wer"]["p"], found["utterances"]) == (0, 1, 6)
    compare(trained.name, trained.name)
    assert "B - A" in capsys.readouterr().out


@pytest.mark.prove
def test_results_leaves_each_speaker_out_in_turn(recipe: Write, tmp_path: Path, capsys: Capture) -> None:
    readme, out = tmp_path / "README.md", tmp_path / "docs"
    readme.write_text("<!-- results:start -->\n<!-- results:end -->\n")
    path = recipe('where = { split = "valid" }', 'where = { id = ["t4", "t5"] }', "max_steps = 12", "max_steps = 2")
    results(path, "tones.speaker", "Tones", out, readme)
    content = json.loads((out / "tiny-leave-out-speaker.json").read_text())
    assert [(one["name"], one["utterances"]) for one in content["sets"]] == [("s0", 12), ("s1", 12), ("s2", 12)]
    assert len(set(content["about"]["runs"].values())) == 3
    assert "| mean |" in readme.read_text()
    results(path, "tones.speaker", "Tones", out, readme)
    assert len(list(runs_root().glob("*/resolved.json"))) == 3


def test_results_of_changed_code_are_refused_until_accepted_and_say_so(
    recipe: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine" / "blocks").mkdir(parents=True)
    note = tmp_path / "mine" / "blocks" / "notes.txt"
    note.write_text("1\n")
    monkeypatch.setenv("ASRLAB_PATH", str(tmp_path / "mine"))
    path, out, readme = recipe("max_steps = 12", "max_steps = 2"), tmp_path / "docs", tmp_path / "README.md"
    results(path, out=out, readme=readme)
    note.write_text("2\n")
    with pytest.raises(RunError, match="has changed since: code"):
        results(path, out=out, readme=readme)
    results(path, out=out, readme=readme, accept_changes=True)
    assert json.loads((out / "tiny.json").read_text())["command"].endswith(" --accept-changes")
    assert len(list(runs_root().glob("*/resolved.json"))) == 1


def test_seeds_that_are_no_study_are_refused(recipe: Write, tmp_path: Path) -> None:
    path, out, readme = recipe(), tmp_path / "docs", tmp_path / "README.md"
    with pytest.raises(typer.BadParameter, match="whole numbers"):
        results(path, out=out, readme=readme, seeds="1,x")
    with pytest.raises(DataError, match="two different"):
        results(path, out=out, readme=readme, seeds="1,1")
    assert not runs_root().exists()


def test_a_score_of_a_mean_says_which_checkpoints_it_is_of(
    recipe: Write, train: Callable[[Path], RunDirectory], tones: Path, capsys: Capture
) -> None:
    run = train(
        recipe("max_steps = 12", "max_steps = 4\nkeep_best = 3", "valid_every_steps = 4", "valid_every_steps = 1")
    )
    own = (run.eval / "test.json").read_text()
    best = [path.name for path in CheckpointStore(run.checkpoints).best_few(3)]
    evaluate(run.name, checkpoint="average:3", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["about"]["weights"] == "average:3"
    assert found["about"]["mean_of"] == best
    assert found["about"]["checkpoint"] == best[0]
    assert (run.eval / "test.json").read_text() == own
    steps = ", ".join(str(int(name.removeprefix("step-"))) for name in best)
    transcribe([next(tones.rglob("*.wav"))], run.name, checkpoint="average:3")
    assert capsys.readouterr().err.splitlines()[0] == f"{run.name}, the mean of steps {steps} (average:3)"
    with pytest.raises(CheckpointError, match=r"train\.keep_best"):
        evaluate(run.name, checkpoint="average:5")
