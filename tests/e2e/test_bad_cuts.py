"""A corpus of real digits with ten spoiled utterances: the rest is trained on, and each of the ten is named."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from asr_lab.errors import LabError
from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.runs.events import Event, read_events
from asr_lab.runs.find import all_runs
from asr_lab.training.metrics import read_metrics
from cli.main import app

Record = dict[str, str]

NUM_CUTS = 200
REASONS = {
    "missing": r"no such file",
    "truncated": r"is truncated: only 0\.\d\d s of what its header says are there",
    "zero-length": r"is empty \(0 bytes\)",
    "no-samples": r"holds no samples",
    "not-audio": r"is not audio",
    "empty-text": r"empty text",
    "u-over-t": r"too short for its text: \d+ tokens need \d+\.\d\d s, it has 0\.\d\d s",
    "unspellable": r"unspellable: .*'7'",
    "wrong-duration": r"wrong duration: the manifest says 9\.50 s, the file lasts 0\.\d\d s",
    "not-a-number": r"holds samples that are not finite numbers",
}
"""What is wrong with each spoiled utterance, which is its id too, and how the event words it."""
RECIPE = """
name = "spoiled"
seed = 3

[features]
type = "log_mel"
sample_rate = 8000
num_mels = 24

[tokenizer]
type = "chars"

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


def named(run: RunDirectory) -> list[Event]:
    return [event for event in read_events(run.events_file) if "cut" in event.data]


def test_each_spoiled_cut_is_named_with_its_own_reason_and_the_rest_is_trained_on(spoiled: list[Record]) -> None:
    done = asrlab_run()
    assert done.exit_code == 0, done.output
    events = named(only_run())
    reasons: dict[str, set[str]] = {}
    for event in events:
        cut = event.data["cut"]
        reasons.setdefault(cut["id"], set()).add(cut["reason"])
        assert cut["id"] in event.data["message"]
        assert cut["reason"] in event.data["message"]
        assert Path(cut["audio"]).name == next(row["audio"] for row in spoiled if row["id"] == cut["id"])
    assert reasons.keys() == REASONS.keys()
    assert len({reason for found in reasons.values() for reason in found}) == len(REASONS)
    for kind, found in reasons.items():
        (reason,) = found
        assert re.match(REASONS[kind], reason), (kind, reason)
    steps = list(read_metrics(only_run().metrics_file))
    assert {step["epoch"] for step in steps} >= {0, 1}
    assert np.isfinite([step["loss"] for step in steps]).all()


def test_a_second_utterance_of_one_name_is_named(spoiled: list[Record], tmp_path: Path) -> None:
    table = tmp_path / "data" / "digits" / "manifest.tsv"
    last = spoiled[-1]
    table.write_text(table.read_text() + "\t".join({**last, "text": "another"}.values()) + "\n")
    done = asrlab_run()
    assert done.exit_code == 0, done.output
    found = {event.data["cut"]["id"]: event.data["cut"]["reason"] for event in named(only_run())}
    assert found.keys() == {*REASONS, last["id"]}
    assert found[last["id"]] == f"a second utterance is called {last['id']!r}"


@pytest.mark.usefixtures("spoiled")
def test_more_spoiled_cuts_than_allowed_end_the_run_and_are_named() -> None:
    refused = asrlab_run("--set", "data.max_bad_cuts=8")
    assert isinstance(refused.exception, LabError)  # main turns it into exit code 2
    message = str(refused.exception)
    assert "9 utterances cannot be used (data.max_bad_cuts = 8)" in message
    for kind in REASONS.keys() - {"not-a-number"}:
        assert re.search(rf"^  {kind}: {REASONS[kind]}", message, flags=re.MULTILINE), kind
    (error,) = (e for e in read_events(only_run().events_file) if e.kind == "error")
    assert (error.data["exit"], error.data["message"]) == (2, message)


@pytest.mark.usefixtures("spoiled")
def test_one_that_shows_only_when_it_is_read_counts_too() -> None:
    refused = asrlab_run("--set", "data.max_bad_cuts=9")
    assert isinstance(refused.exception, LabError)
    assert "not-a-number" in str(refused.exception)


@pytest.mark.usefixtures("spoiled")
def test_as_many_as_allowed_are_allowed() -> None:
    assert asrlab_run("--set", "data.max_bad_cuts=10").exit_code == 0
