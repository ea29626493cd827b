"""A finished run is made again from its record; what differs is named with the reasons that the records show."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machines import Place
from typer.testing import CliRunner, Result

from asr_lab.errors import RunError
from asr_lab.runs.code_snapshot import code_of
from asr_lab.runs.directory import RunDirectory, create_run
from asr_lab.runs.proofs.digests import LABELS
from asr_lab.runs.proofs.reasons import reasons
from cli.main import app


@pytest.fixture(scope="module")
def finished(tones: Path, recipe_text: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that has ended well; ASRLAB_DATA and ASRLAB_RUNS are its."""
    folder = tmp_path_factory.mktemp("reproduction")
    shutil.copytree(tones, folder / "data")
    (folder / "tiny.toml").write_text(recipe_text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_DATA", str(folder / "data"))
        place = Place(folder / "tiny.toml", folder / "runs")
        patch.setenv("ASRLAB_RUNS", str(place.root))
        assert place.command().ended() == 0
        yield place.run.path


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A copy of it that a test may change."""
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path))
    return RunDirectory(Path(shutil.copytree(finished, tmp_path / finished.name)))


def asrlab(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def content(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def edit_record(run: RunDirectory, **changes: Any) -> None:
    """Change the newest record: `hashes__code="…"` is its key `code` in `hashes`."""
    record = json.loads(run.provenance_file.read_text())
    for key, value in changes.items():
        *path, last = key.split("__")
        place = record["attempts"][-1]
        for part in path:
            place = place[part]
        place[last] = value
    run.provenance_file.write_text(json.dumps(record))


def other_code(run: RunDirectory, line: str) -> Path:
    """As if the run had been trained by code with this line more: its copy and its record say so."""
    (copy,) = run.code.iterdir()
    with (copy / "asr_lab" / "errors.py").open("a") as file:
        file.write(line + "\n")
    changed = code_of({path.name: path for path in copy.iterdir() if path.is_dir()})
    edit_record(run, hashes__code=changed.hash)
    return copy.rename(copy.with_name(changed.hash[:16]))


def test_the_record_makes_the_run_again_bit_for_bit(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(run.path)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # the recorded number counts: two threads add otherwise than one
    done = asrlab("reproduce", run.name, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["run"], found["holds"], found["reasons"]) == (run.name, True, [])
    assert set(found["parts"]) == set(LABELS) - {"precision"}  # fp32 keeps nothing
    assert all(part["run"] == part["again"] for part in found["parts"].values())
    assert {score["name"]: score["run"] == score["again"] for score in found["scores"]} == {
        "tones, WER": True,
        "tones, CER": True,
        "tones, SER": True,
    }
    assert content(run.path) == before
    assert [path.name for path in run.path.parent.iterdir()] == [run.name]
    assert "made again on the installed code, which made it" in done.stderr


def test_other_code_runs_only_when_it_is_trusted_and_reasons_are_named(run: RunDirectory, tmp_path: Path) -> None:
    mark = tmp_path.parent / f"{tmp_path.name}-mark"
    other_code(run, f"open({str(mark)!r}, 'w').close()")
    edit_record(run, environment__torch="1.0", host__cpu="a Z80")
    (run.eval / "test.jsonl").write_text((run.eval / "test.jsonl").read_text().replace("tones", "other"))
    refused = asrlab("reproduce", run.name)
    assert isinstance(refused.exception, RunError)
    told = str(refused.exception)
    assert "a run directory executes nothing by itself" in told
    assert "asr_lab/errors.py  +0 -1" in told
    assert told.splitlines()[-1] == f"  asrlab reproduce {run.path} --trust-code"
    assert not mark.exists()
    done = asrlab("reproduce", run.name, "--trust-code")
    assert mark.exists()
    assert done.exit_code == 1, done.output
    rows = {c[1].strip(): c[4].strip() for line in done.stdout.splitlines() if len(c := line.split("│")) > 4}
    assert {"hypotheses"} == {part for part, verdict in rows.items() if verdict == "DIFFERS"}
    assert "torch 1.0 -> " in done.stdout
    assert "another machine, cpu: a Z80 -> " in done.stdout
    assert f"it DIFFERS; made again in {tmp_path / 'reproduced'}" in done.stdout


def test_changed_data_end_it_at_once(run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = run.path.parent / "data"
    shutil.copytree(os.environ["ASRLAB_DATA"], data)
    table = data / "tones" / "manifest.tsv"
    table.write_text(table.read_text().replace("\tone ", "\ttwo ", 1))
    monkeypatch.setenv("ASRLAB_DATA", str(data))
    done = asrlab("reproduce", run.name, "--json")
    assert done.exit_code == 1, done.output
    found = json.loads(done.stdout)
    assert found["reasons"][0].startswith("the data are others than it was trained on: ")
    assert {part["again"] for part in found["parts"].values()} == {None}
    assert not (Path(found["again"]) / "eval").exists()


def test_a_damaged_copy_of_the_code_is_not_run(run: RunDirectory) -> None:
    copy = other_code(run, "# other code")
    with (copy / "asr_lab" / "errors.py").open("a") as file:
        file.write("# and a line that was not recorded\n")
    refused = asrlab("reproduce", run.name, "--trust-code")
    assert isinstance(refused.exception, RunError)
    assert "is damaged: its hash is" in str(refused.exception)
    shutil.rmtree(copy)
    gone = asrlab("reproduce", run.name, "--trust-code")
    assert isinstance(gone.exception, RunError)
    assert "is gone; check out commit" in str(gone.exception)


def test_an_unfinished_run_has_nothing_to_compare_with(run: RunDirectory, tmp_path: Path) -> None:
    fresh = create_run(run.document(), tmp_path / "fresh")
    refused = asrlab("reproduce", str(fresh.path))
    assert isinstance(refused.exception, RunError)
    assert "is new, not finished" in str(refused.exception)


def test_a_run_of_a_gpu_needs_one(run: RunDirectory) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    edit_record(run, determinism__device="cuda", determinism__gpu="NVIDIA H200")
    refused = asrlab("reproduce", run.name)
    assert isinstance(refused.exception, RunError)
    assert "was trained on NVIDIA H200, and this machine has none" in str(refused.exception)


def test_what_its_own_attempts_went_through_is_a_reason(run: RunDirectory, tmp_path: Path) -> None:
    record = json.loads(run.provenance_file.read_text())
    (only,) = record["attempts"]
    other = {**only, "exact": False, "accepted": [{"kind": "code", "lines": []}], "other_host": ["cpu: a -> b"]}
    other = {**other, "determinism": {**only["determinism"], "level": "off", "threads": 8}}
    run.provenance_file.write_text(json.dumps({"attempts": [only, other]}))
    again = RunDirectory(tmp_path / "again")
    again.path.mkdir()
    again.provenance_file.write_text(json.dumps(record))
    found = reasons(run, again)
    assert "determinism.level is off: nothing is promised" in found
    assert "its attempt 2 went on under changed code, cpu: a -> b" in found
    assert f"its attempts ran with {only['determinism']['threads']} and 8 threads" in found
