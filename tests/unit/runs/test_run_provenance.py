"""Provenance: what an attempt ran on, and what changed since."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import attrs
import pytest

from asr_lab.errors import RunError
from asr_lab.runs.code_snapshot import Code, code_of, take_snapshot
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.provenance import (
    add_provenance,
    changes,
    environment,
    host_changes,
    packages,
    read_provenance,
    record_attempt,
    refusal,
    this_host,
)

HASHES = {"data": "d" * 64, "tokenizer": "t" * 64, "normalizer": "nfc/1"}


def code_in(folder: Path, text: str) -> Code:
    (folder / "asr_lab").mkdir(parents=True, exist_ok=True)
    (folder / "asr_lab" / "x.py").write_text(text)
    return code_of({"asr_lab": folder / "asr_lab"})


def recorded(tmp_path: Path, text: str = "1\n") -> tuple[RunDirectory, Code]:
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    code = code_in(tmp_path / "src", text)
    take_snapshot(code, run.code)
    add_provenance(run, record_attempt(1, code, HASHES, this_host(), {"resumed_from": None}))
    return run, code


def test_the_record_says_what_the_attempt_ran_on(tmp_path: Path) -> None:
    run, code = recorded(tmp_path)
    (record,) = read_provenance(run)
    assert record["hashes"].keys() == {"code", "environment", "data", "tokenizer", "normalizer"}
    assert record["hashes"]["code"] == code.hash
    assert record["environment"]["torch"] == packages()["torch"]
    assert record["host"]["num_cpus"] == len(os.sched_getaffinity(0))
    assert {"command", "folder", "host_name", "git", "time", "attempt"} <= record.keys()


def test_nothing_changed_is_no_change(tmp_path: Path) -> None:
    run, code = recorded(tmp_path)
    assert changes(run, code, HASHES) == []
    assert host_changes(run, this_host()) == []


def test_changed_code_is_shown_file_by_file(tmp_path: Path) -> None:
    run, _ = recorded(tmp_path)
    (change,) = changes(run, code_in(tmp_path / "src", "1\n2\n"), None)
    assert (change.kind, change.lines) == ("code", ("asr_lab/x.py  +1 -0",))


def test_changed_data_is_shown_and_refused_with_the_ways_out(tmp_path: Path) -> None:
    run, code = recorded(tmp_path)
    found = changes(run, code, {**HASHES, "data": "e" * 64})
    text = refusal(run, found, is_finished=True)
    assert "is finished, but has changed since: data" in text
    assert "dddddddddddd -> eeeeeeeeeeee" in text
    assert "--again" in text
    assert "--accept-changes" in text


def test_another_package_version_is_shown(tmp_path: Path) -> None:
    run, code = recorded(tmp_path)
    (record,) = read_provenance(run)
    record["environment"]["numpy"] = "1.0"
    record["hashes"]["environment"] = "0" * 64
    add_provenance(run, record)
    (change,) = changes(run, code, HASHES)
    assert change.lines == (f"numpy 1.0 -> {environment()['numpy']}",)


def test_another_number_of_threads_is_another_host(tmp_path: Path) -> None:
    run, _ = recorded(tmp_path)
    host = this_host()
    other = attrs.evolve(host, num_threads=host.num_threads + 1)
    assert host_changes(run, other) == [f"num_threads: {host.num_threads} -> {host.num_threads + 1}"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is damaged: no usable attempts"),
        ({"attempts": {}}, "no usable attempts"),
        ({"attempts": [{"environment": {}}]}, r"record 1 is damaged: hashes: missing.*; host: missing"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, content: object, message: str) -> None:
    run = RunDirectory(tmp_path)
    assert read_provenance(run) == []
    run.provenance_file.write_text(json.dumps(content))
    with pytest.raises(RunError, match=message):
        read_provenance(run)
    (change,) = changes(run, code_in(tmp_path / "src", ""), HASHES)
    assert change.kind == "record"
    assert re.search(message, change.lines[0])
    assert host_changes(run, this_host()) == []
    record = {"hashes": {}, "environment": {}, "host": {}}
    add_provenance(run, record)
    assert read_provenance(run) == [record]
    assert json.loads((tmp_path / "provenance.damaged.json").read_text()) == content


def test_a_record_that_is_gone_is_a_change_once_there_are_checkpoints(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert changes(run, code_in(tmp_path / "src", ""), HASHES) == []
    (run.checkpoints / "step-00000004").mkdir(parents=True)
    (change,) = changes(run, code_in(tmp_path / "src", ""), HASHES)
    assert (change.kind, "is gone" in change.lines[0]) == ("record", True)


def test_an_attempt_that_recorded_fewer_hashes_is_compared_in_those(tmp_path: Path) -> None:
    run, code = recorded(tmp_path)
    (record,) = read_provenance(run)
    del record["hashes"]["tokenizer"]
    add_provenance(run, record)
    (change,) = changes(run, code, {**HASHES, "data": "e" * 64, "tokenizer": "e" * 64})
    assert change.kind == "data"
