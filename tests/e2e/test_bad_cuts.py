"""A corpus of real digits with ten spoiled utterances: the rest is trained on, and each of the ten is named."""

from __future__ import annotations

import csv
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from asr_lab.errors import LabError
from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.runs.events import Event, read_events
from asr_lab.runs.find import all_runs
from asr_lab.runs.job.fit import Fit
from asr_lab.runs.job.stopping import INTERRUPTED
from asr_lab.training.metrics import read_metrics
from cli.main import app

Record = dict[str, str]

NUM_CUTS = 200
REASONS = {
    "missing": r"no such file",
    "truncated": r"is truncated: 0\.\d\d of the 0\.\d\d s that its header says are there",
    "zero-length": r"is empty \(0 bytes\)",
    "no-samples": r"holds no samples",
    "not-audio": r"is not audio",
    "empty-text": r"empty text",
    "u-over-t": r"too short for its text: \d+ tokens need \d+\.\d\d s, it has 0\.\d\d s",
    "unspellable": r"unspellable: .*'7'",
    "wrong-duration": r"wrong duration: the manifest says 9\.50 s, the file lasts 0\.\d\d s",
    "not-a-number": r"holds samples that are not finite numbers",
}
"""What is wrong with each spoiled utterance, which is its id too, and how its row words it."""
COUNTED = {
    "no audio": {"missing", "zero-length", "no-samples"},
    "unreadable": {"truncated", "not-audio", "not-a-number"},
    "no text": {"empty-text"},
    "too short for its text": {"u-over-t"},
    "unspellable": {"unspellable"},
    "wrong duration": {"wrong-duration"},
}
"""What each is counted as."""
RECIPE = """
name = "spoiled"
seed = 3

[features]
type = "log_mel"
sample_rate = 8000
num_mels = 24

[tokenizer]
type = "chars"
alphabet = " abcdefghijklmnopqrstuvwxyz'"

[encoder]
dim = 24
stem = { type = "depthwise_stride", factor = 4, channels = 16, causal = true }
stack = [{ blocks = ["ssm"] }]
block.ssm = { type = "macaron", mixer = { type = "mamba2", head_dim = 8, state_dim = 8 } }

[[decoder]]
type = "ctc"

[data]
train = [{ name = "digits", type = "folder", path = "digits" }]

[train]
max_epochs = 2
batch_s = 20
"""


def read_digits(speech: Path) -> list[Record]:
    """fsdd's first recordings that are long enough for any digit's letters at a 4x stem."""
    with (speech / "fsdd" / "manifest.tsv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if float(row["duration_s"]) > 0.35]
    return rows[:: len(rows) // NUM_CUTS][:NUM_CUTS]


def spoil(kind: str, row: Record, path: Path) -> None:
    """Make one thing wrong with an utterance, in its file or in its row of the table."""
    row["id"] = kind
    audio, rate = soundfile.read(path)
    match kind:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "zero-length":
            path.write_bytes(b"")
        case "no-samples":
            soundfile.write(path, np.zeros(0), rate)
        case "not-audio":
            path.write_text("I am not a recording.\n" * 200)
        case "empty-text":
            row["text"] = "  "
        case "u-over-t":
            row["text"] = "seventy seven thousand " * 9
        case "unspellable":
            row["text"] = "7"
        case "wrong-duration":
            row["duration_s"] = "9.5"
        case "not-a-number":
            audio[len(audio) // 2] = np.nan
            soundfile.write(path, audio, rate, subtype="FLOAT")


@pytest.fixture
def spoiled(speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """The rows of a corpus `digits` under ASRLAB_DATA, every twentieth utterance spoiled; runs go beside it."""
    folder = tmp_path / "data" / "digits"
    folder.mkdir(parents=True)
    rows, kinds = read_digits(speech), iter(REASONS)
    for number, row in enumerate(rows):
        path = folder / Path(row["audio"]).name
        shutil.copyfile(speech / "fsdd" / row["audio"], path)
        row["audio"] = path.name
        if number % 20 == 7:
            spoil(next(kinds), row, path)
    with (folder / "manifest.tsv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    (tmp_path / "spoiled.toml").write_text(RECIPE)
    monkeypatch.setenv("ASRLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    assert (len(rows), next(kinds, None)) == (NUM_CUTS, None)
    return rows


def asrlab_run(*words: str) -> Result:
    return CliRunner().invoke(app, ["run", "spoiled.toml", *words])


def only_run() -> RunDirectory:
    (run,) = all_runs(runs_root())
    return run


def left_out(run: RunDirectory) -> list[dict[str, str]]:
    with run.left_out_file.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def told(run: RunDirectory) -> list[Event]:
    return [event for event in read_events(run.events_file) if "left_out" in event.data]


def test_each_spoiled_cut_is_listed_with_its_own_reason_and_the_rest_is_trained_on(spoiled: list[Record]) -> None:
    done = asrlab_run()
    assert done.exit_code == 0, done.output
    rows = left_out(only_run())
    assert list(rows[0]) == ["id", "path", "reason", "detail"]
    assert sorted(row["id"] for row in rows) == sorted(REASONS)
    for row in rows:
        assert re.match(REASONS[row["id"]], row["detail"]), row
        assert row["id"] in COUNTED[row["reason"]]
        assert Path(row["path"]).name == next(one["audio"] for one in spoiled if one["id"] == row["id"])
    first, last = told(only_run())  # nine before training; the tenth shows when it is read
    assert first.data["left_out"] == {
        "used": 191,
        "given": 200,
        "left_out": {reason: len(ids - {"not-a-number"}) for reason, ids in COUNTED.items()},
    }
    counts = {reason: len(ids) for reason, ids in COUNTED.items()}
    assert last.data["left_out"] == {"used": 190, "given": 200, "left_out": counts}
    for event in (first, last):
        assert "\n" not in event.data["message"]
        assert 'write tokenizer.alphabet = " \'7abcdefghijklmnopqrstuvwxyz"' in event.data["message"]
        assert str(only_run().left_out_file) in event.data["message"]
    assert "trained on 190 of 200 utterances" in done.output
    assert "190 of 200 utterances" in (only_run().path / "report.html").read_text()
    steps = list(read_metrics(only_run().metrics_file))
    assert {step["epoch"] for step in steps} >= {0, 1}
    assert np.isfinite([step["loss"] for step in steps]).all()


@pytest.mark.usefixtures("spoiled")
def test_the_list_is_the_same_after_a_stop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert asrlab_run("--set", "train.save_every_steps=1").exit_code == 0
    whole = only_run()
    expected = whole.left_out_file.read_bytes()
    (whole.path.rename(tmp_path / "whole"))
    stopped = Fit._is_save_due

    def stop_after_reading(fit: Fit) -> bool:
        if fit.step >= 4 and "not-a-number" in fit.attempt.run.left_out_file.read_text():
            fit.attempt.stop.number = signal.SIGTERM
        return stopped(fit)

    with monkeypatch.context() as patched:
        patched.setattr(Fit, "_is_save_due", stop_after_reading)
        assert asrlab_run("--set", "train.save_every_steps=1").exit_code == INTERRUPTED
    with only_run().left_out_file.open("a") as table:
        table.write("torn\tby a")  # as a kill leaves it
    assert asrlab_run("--set", "train.save_every_steps=1").exit_code == 0
    assert only_run().left_out_file.read_bytes() == expected
    assert len([event for event in told(only_run()) if event.attempt == 2]) == 1


def test_a_second_utterance_of_one_name_is_listed(spoiled: list[Record], tmp_path: Path) -> None:
    table = tmp_path / "data" / "digits" / "manifest.tsv"
    last = spoiled[-1]
    table.write_text(table.read_text() + "\t".join({**last, "text": "another"}.values()) + "\n")
    done = asrlab_run("--set", "data.max_left_out=0.06")
    assert done.exit_code == 0, done.output
    (row,) = (row for row in left_out(only_run()) if row["id"] not in REASONS)
    assert (row["id"], row["reason"]) == (last["id"], "second of its id")
    assert row["detail"] == f"a second utterance is called {last['id']!r}"


@pytest.mark.usefixtures("spoiled")
def test_more_than_the_share_end_the_run_before_it_trains_with_what_to_do() -> None:
    refused = asrlab_run("--set", "data.max_left_out=0.04")
    assert isinstance(refused.exception, LabError)  # main turns it into exit code 2
    message = str(refused.exception)
    assert message.startswith("9 of 200 training utterances (3 no audio, ")
    assert "more than data.max_left_out = 0.04 allows; correct their paths" in message
    assert "write tokenizer.alphabet = " in message
    assert "\n" not in message
    assert {row["id"] for row in left_out(only_run())} == REASONS.keys() - {"not-a-number"}
    assert not only_run().metrics_file.exists()
    (error,) = (e for e in read_events(only_run().events_file) if e.kind == "error")
    assert (error.data["exit"], error.data["message"]) == (2, message)


@pytest.mark.usefixtures("spoiled")
def test_one_that_shows_only_when_it_is_read_counts_too() -> None:
    refused = asrlab_run("--set", "data.max_left_out=0.045")
    assert isinstance(refused.exception, LabError)
    assert str(refused.exception).startswith("10 of 200 training utterances")
    assert "not-a-number" in {row["id"] for row in left_out(only_run())}


@pytest.mark.usefixtures("spoiled")
def test_the_old_key_is_answered_with_the_new_one() -> None:
    refused = asrlab_run("--set", "data.max_bad_cuts=10")
    assert isinstance(refused.exception, LabError)
    assert "data.max_bad_cuts: is gone; write max_left_out = 0.05" in str(refused.exception)


@pytest.mark.usefixtures("spoiled")
def test_an_alphabet_of_the_training_text_spells_all_of_it() -> None:
    text = Path("spoiled.toml").read_text()
    Path("spoiled.toml").write_text("\n".join(line for line in text.split("\n") if not line.startswith("alphabet")))
    assert asrlab_run().exit_code == 0
    assert "unspellable" not in {row["id"] for row in left_out(only_run())}
    assert "7" in (only_run().path / "tokenizer" / "alphabet.txt").read_text()
