"""Training from Shar, tars and parquet: a run that ends early and goes on has the bits of one that nothing befell."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import signal
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import soundfile
from accidents import several_kills
from machines import Place
from typer.testing import CliRunner

from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.runs.job.fit import Fit
from asr_lab.runs.job.stopping import INTERRUPTED
from asr_lab.runs.proofs.digests import digests
from cli.main import app

Row = tuple[str, bytes, float, str]
"""Name, FLAC file, seconds, text."""
Write = Callable[..., Path]
FOLDER = '{ name = "tones", type = "folder", path = "tones", where = { split = "train" } }'
PER_SHARD = 7
STOP_STEP = 3


def rows_of(folder: Path) -> list[Row]:
    """What the small recipe trains on."""
    with (folder / "manifest.tsv").open(newline="") as file:
        chosen = [row for row in csv.DictReader(file, delimiter="\t") if row["split"] == "train"]
    found = []
    for row in chosen:
        samples, rate = soundfile.read(folder / row["audio"], dtype="int16")
        out = io.BytesIO()
        soundfile.write(out, samples, rate, format="FLAC")
        found.append((row["id"], out.getvalue(), len(samples) / rate, row["text"]))
    return found


def shards(rows: Sequence[Row]) -> list[Sequence[Row]]:
    return [rows[i : i + PER_SHARD] for i in range(0, len(rows), PER_SHARD)]


def write_tar(path: Path, files: Sequence[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def shar(folder: Path, rows: Sequence[Row]) -> str:
    for number, shard in enumerate(shards(rows)):
        lines = []
        for name, _, seconds, text in shard:
            spoken = {"id": name, "recording_id": name, "start": 0, "duration": seconds, "text": text}
            cut = {"id": name, "type": "MonoCut", "start": 0, "duration": seconds, "channel": 0}
            lines.append(json.dumps({**cut, "supervisions": [spoken]}) + "\n")
        (folder / f"cuts.{number:06}.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode()))
        files = [pair for name, flac, *_ in shard for pair in ((f"{name}.flac", flac), (f"{name}.json", b"{}"))]
        write_tar(folder / f"recording.{number:06}.tar", files)
    return "shar"


def webdataset(folder: Path, rows: Sequence[Row]) -> str:
    for number, shard in enumerate(shards(rows)):
        files = [
            pair for name, flac, _, text in shard for pair in ((f"{name}.flac", flac), (f"{name}.txt", text.encode()))
        ]
        write_tar(folder / f"train-{number:06}.tar", files)
    return "webdataset"


def parquet(folder: Path, rows: Sequence[Row]) -> str:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    audio = [{"bytes": flac, "path": f"{name}.flac"} for name, flac, *_ in rows]
    columns = {"id": [row[0] for row in rows], "audio": audio, "text": [row[3] for row in rows]}
    files.write_table(pyarrow.table(columns), folder / "train-00000-of-00001.parquet", row_group_size=PER_SHARD)
    return "hugging_face"


WRITERS = {write.__name__: write for write in (shar, webdataset, parquet)}


@pytest.fixture(params=WRITERS)
def packed(request: pytest.FixtureRequest, recipe: Write, tones: Path, tmp_path: Path) -> Write:
    """The small recipe over a container of its recordings, cut to the number of steps that it is given."""
    folder = tmp_path / "packed"
    folder.mkdir()
    kind = WRITERS[request.param](folder, rows_of(tones / "tones"))

    def write(steps: int) -> Path:
        dataset = f'{{ name = "tones", type = "{kind}", path = "{folder}" }}'
        length = f"max_steps = {steps}\nsave_every_steps = 1"
        return recipe(FOLDER, dataset, "max_steps = 12", length, "num_workers = 0", "num_workers = 1")

    return write


def ended(path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> RunDirectory:
    monkeypatch.setenv("ASRLAB_RUNS", str(root))
    done = CliRunner().invoke(app, ["run", str(path)])
    assert done.exit_code == code, done.output
    (folder,) = (place.parent for place in runs_root().glob("*/resolved.json"))
    return RunDirectory(folder)


def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    packed: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(6)
    whole = ended(path, tmp_path / "whole", monkeypatch)
    is_save_due = Fit._is_save_due

    def stop(fit: Fit) -> bool:
        if fit.step == STOP_STEP:
            fit.attempt.stop.number = signal.SIGTERM
        return is_save_due(fit)

    with monkeypatch.context() as patched:
        patched.setattr(Fit, "_is_save_due", stop)
        ended(path, tmp_path / "stopped", monkeypatch, INTERRUPTED)
    resumed = ended(path, tmp_path / "stopped", monkeypatch)
    assert digests(resumed) == digests(whole)


@pytest.mark.prove
def test_a_run_that_was_killed_goes_on_bit_for_bit(packed: Write, tmp_path: Path) -> None:
    path = packed(12)
    whole = Place(path, tmp_path / "whole")
    assert whole.command().ended() == 0
    for number in range(4):
        place = Place(path, tmp_path / f"killed-{number}")
        several_kills(place, random.Random(number))
        assert place.command().ended() == 0
        assert digests(place.run) == digests(whole.run), number
