"""`asrlab eval --fleurs` from published archives to the table: some languages always, all 102 when it is proved."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fleurs_tree import write_fleurs

from asr_lab.data.fleurs_languages import LANGUAGES
from asr_lab.runs.directory import RunDirectory
from cli.eval import eval as evaluate

pytest.importorskip("espeakng_loader", reason="synthetic speech: pip install 'asr-lab[demo]'")
FOUR = ("cmn_hans_cn", "en_us", "ta_in", "tr_tr")


@pytest.fixture
def four(make: Callable[..., RunDirectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    write_fleurs(tmp_path / "data" / "fleurs", FOUR)
    run = make()
    monkeypatch.setenv("ASRLAB_DATA", str(tmp_path / "data"))
    return run


def test_four_languages_from_archives_to_table_page_and_csv(
    four: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(four.name, fleurs="there", overrides=["score.bootstrap=100"])
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if line.strip().startswith(FOUR)) <= 80
    assert "partial, fewer utterances than published (*): cmn_hans_cn 3 of 945, en_us 3 of 647" in out
    assert "Normalised by fleurs/1, scored by plain/1." in " ".join(out.split())
    (path,) = four.eval.glob("*.csv")
    rows = {row["set"]: row for row in csv.DictReader(path.open(encoding="utf-8"))}
    assert list(rows) == list(FOUR)
    assert {name: row["counts"] for name, row in rows.items()} == {
        "cmn_hans_cn": "cer",
        **dict.fromkeys(("en_us", "ta_in", "tr_tr"), "wer"),
    }
    assert int(rows["cmn_hans_cn"]["unspellable"]) == int(rows["ta_in"]["unspellable"]) == 3
    assert int(rows["en_us"]["published"]) == 647
    content = json.loads(path.with_suffix(".json").read_text())
    assert content["utterances"] == 12
    assert content["about"]["data"] == {"fleurs": "there"}
    for line in path.with_suffix(".jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["set"] == "cmn_hans_cn":
            assert record["reference"].replace(" ", "") == record["normalised"]["reference"]
    page = path.with_suffix(".html").read_text()
    assert all(name in page for name in ("Mandarin Chinese (CER) *", "Tamil *", "South Asia"))


def test_the_command_lines_own_normaliser_stands(four: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    how = ["score.bootstrap=100", 'score.normalizer={ type = "basic" }']
    evaluate(four.name, fleurs="en_us", overrides=how, as_json=True)
    assert json.loads(capsys.readouterr().out)["normaliser"] == "basic/1"


@pytest.mark.prove
def test_all_102_languages_killed_half_way_give_the_same_bytes(
    make: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    write_fleurs(tmp_path / "data" / "fleurs", [one.code for one in LANGUAGES])
    run = make()
    command = [sys.executable, "-m", "cli.main", "eval", run.name, "--fleurs", "all"]
    environment = {**os.environ, "ASRLAB_DATA": str(tmp_path / "data")}

    def finish(*more: str) -> tuple[bytes, bytes]:
        subprocess.run([*command, *more], env=environment, check=True, capture_output=True)
        (table,) = run.eval.glob("*.csv")
        return table.with_suffix(".json").read_bytes(), table.with_suffix(".jsonl").read_bytes()

    def forget() -> None:
        for path in run.eval.iterdir():
            path.unlink()

    whole = finish()
    for more in ((), ("--workers", "2")):
        forget()
        killed = subprocess.Popen([*command, *more], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 300
        while len(list(run.eval.glob("*.parts/*_*.json"))) < 40:
            assert killed.poll() is None, killed.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        left = sorted(run.eval.glob("*.parts/*_*.json"))
        assert 40 <= len(left) < 102
        assert not list(run.eval.glob("*.csv"))
        assert finish(*more) == whole
    assert len(json.loads(whole[0])["sets"]) == 102
