"""`asrlab precision-ab` as typed: small runs in several number formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from asr_lab.errors import LabError
from asr_lab.runs.directory import runs_root
from asr_lab.runs.find import all_runs
from asr_lab.runs.status import status_of
from cli.main import app

Write = Callable[..., Path]
WIDER = ("--set", "encoder.dim=32")
"""What blocks of 32 tile."""


def precision_ab(*words: str) -> Result:
    return CliRunner().invoke(app, ["precision-ab", *words])


@pytest.mark.prove
def test_formats_are_trained_on_the_same_batches_and_compared(recipe: Write, tmp_path: Path) -> None:
    path = str(recipe("max_steps = 12", "max_steps = 4"))
    words = [path, "--set", "precision.type=bf16,mxfp8", *WIDER]
    plot, page = tmp_path / "p.svg", tmp_path / "table.md"
    first = precision_ab(*words, "--plot", str(plot), "--table", str(page), "--margin", "100")
    assert first.exit_code == 0, first.output
    assert plot.read_text().startswith("<svg")
    assert page.read_text().splitlines()[2].startswith("| fp32 |")
    assert "mxfp8 (emulated)" in first.stdout
    again = precision_ab(*words, "--json", "--margin", "100")
    assert again.exit_code == 0, again.output
    arms = json.loads(again.stdout)["arms"]
    assert [(arm["precision"], arm["emulated"]) for arm in arms] == [("fp32", False), ("bf16", False), ("mxfp8", True)]
    assert arms[0]["verdict"] is None
    assert {arm["verdict"] for arm in arms[1:]} <= {"non-inferior", "undecided"}
    for arm in arms[1:]:
        assert abs(arm["loss_gap"]["last_relative"]) < 0.5
        assert 0.5 < arm["loss_gap"]["grad_norm_ratio"] < 2
        assert all(0 <= layer[part]["underflow"] <= 1 for layer in arm["layers"] for part in ("input", "gradient"))
        assert arm["layers"], "no layer was looked at"
    assert arms[0]["decoded"]["precision"] == "bf16"
    assert arms[2]["decoded"]["precision"] == "same"
    assert arms[2]["decoded"]["difference"] is not None
    assert {status_of(run).attempt for run in all_runs(runs_root())} == {1}  # none was trained twice


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "name the formats to compare"),
        (("--set", "precision.type=fp32"), "fp32 is the reference"),
        (("--set", "precision.type=fp64"), "fp64 is no number format"),
        (("--set", "precision.type=bf16", "--set", "seed=1,2"), "seed has several values"),
        (("--set", "precision.type=bf16", "--plot", "p.pdf"), "a picture is an .svg or a .png"),
    ],
)
def test_what_stands_against_it_is_said_before_anything_is_trained(
    recipe: Write, words: tuple[str, ...], says: str
) -> None:
    found = precision_ab(str(recipe()), *words)
    assert isinstance(found.exception, LabError)
    assert says in str(found.exception)
    assert not list(all_runs(runs_root()))
