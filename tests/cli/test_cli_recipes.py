"""`check`, `describe`, `diff`, `schema`, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asr_lab.errors import LabError
from cli.check import check
from cli.describe import describe
from cli.diff import diff
from cli.schema import schema

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "recipes" / "conformer_tiny.toml"
BASE = ROOT / "recipes" / "conformer_base.toml"


def test_check_prints_a_line_for_each_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    check([TINY, BASE])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{TINY}: OK ")
    assert "macaron/attention" in lines[0]
    assert len(lines) == 2


def test_check_tells_of_all_wrong_recipes_and_still_of_the_right_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text("seed = 'x'\n")
    with pytest.raises(LabError) as caught:
        check([tmp_path / "a.toml", TINY, tmp_path / "b.toml"])
    assert f"{tmp_path}/a.toml:1" in str(caught.value)
    assert f"{tmp_path}/b.toml" in str(caught.value)
    assert "OK" in capsys.readouterr().out


def test_check_takes_overrides_and_gives_json(capsys: pytest.CaptureFixture[str]) -> None:
    check([TINY], ["encoder.dim=256"], as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["dim"], found["decoders"], found["notes"]) == (256, ["ctc"], [])
    assert len(found["hash"]) == 64
    with pytest.raises(LabError, match=r"--set #1  encoder\.dimm"):
        check([TINY], ["encoder.dimm=256"])


def test_check_never_imports_torch() -> None:
    script = (
        "import sys; from pathlib import Path; from cli.check import check; check([Path(sys.argv[1])]);"
        "assert not {'torch', 'lhotse', 'sentencepiece'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(TINY)], check=True, cwd=ROOT, capture_output=True)


def test_describe_prints_a_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    describe("encoder.stem")
    assert "depthwise_stride" in capsys.readouterr().out
    describe("encoder.stem.depthwise_stride")
    assert "channels" in capsys.readouterr().out
    describe("encoder.stem.depthwise_stride", as_json=True)
    found = json.loads(capsys.readouterr().out)
    entry = next(e for e in found["entries"] if e["name"] == "channels")
    assert (entry["takes"], entry["default"]) == ("a whole number, at least 1, at most 65536", "256")
    with pytest.raises(LabError):
        describe("encoder.stam")


def test_diff_compares_resolved_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.toml"
    other.write_text(
        TINY.read_text().replace("[train]", "[decode]\nbeam = 3\n[train]\nmax_nonfinite = 10\nmetric = 'cer'")
    )
    diff(TINY, other, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"path": "train.metric", "part": "experiment", "a": "wer", "b": "cer"},
        {"path": "decode.beam", "part": "evaluation", "a": 1, "b": 3},
    ]
    diff(TINY, TINY)
    assert capsys.readouterr().out == "no difference\n"
    diff(TINY, BASE)
    assert "encoder.dim" in capsys.readouterr().out


def test_diff_reads_run_directories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from asr_lab.compiler.load import load_recipe
    from asr_lab.runs.directory import create_run

    run = create_run(load_recipe(TINY, ["seed=3"]), tmp_path)
    diff(run.path, TINY, as_json=True)
    (change,) = json.loads(capsys.readouterr().out)
    assert (change["path"], change["a"]) == ("seed", 3)
    stored = json.loads(run.resolved_file.read_text())
    del stored["experiment"]["augment"][1]["max_warp_share"]  # as it was stored before there was such a key
    run.resolved_file.write_text(json.dumps(stored))
    diff(run.path, TINY, as_json=True)
    assert json.loads(capsys.readouterr().out) == [change]
    with pytest.raises(LabError):
        diff(tmp_path, TINY)


def test_schema_prints_and_writes_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema(None)
    schema(tmp_path / "s.json")
    assert capsys.readouterr().out == (tmp_path / "s.json").read_text()
