"""What goes into a pipe is whole: names are neither cut nor taken for markup, whatever they hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONG = "a_name_that_is_as_long_as_names_are_on_clusters_where_everything_is_in_the_name_" * 2
RESOLVED = {"hash": "ab" * 32, "created": 1.0, "overrides": [], "experiment": {}, "execution": {}, "evaluation": {}}


def piped(*words: str, root: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        env=os.environ | {"ASRLAB_RUNS": str(root)} | variables,
        capture_output=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "name", [f"{LONG}-1a2b3c4d", "[bold]x-1a2b3c4d", "[red]", "x[:smile:]-1a2b3c4d", "né-1a2b3c4d"]
)
def test_runs_are_listed_by_their_whole_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "resolved.json").write_text(json.dumps(RESOLVED | {"name": name}))
    for width in ("40", "80"):
        table = piped("runs", root=tmp_path, COLUMNS=width)
        assert name in table.stdout.decode(), table
    (row,) = json.loads(piped("runs", "--json", root=tmp_path).stdout)
    assert (row["run"], row["label"]) == (name, name)


def test_a_name_of_any_bytes_is_listed(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/odd-\xff\xfe-1a2b3c4d"
    os.mkdir(folder)
    Path(os.fsdecode(folder), "resolved.json").write_text("{}")
    table, plain = piped("runs", root=tmp_path), piped("runs", "--json", root=tmp_path)
    assert table.returncode == plain.returncode == 0, (table.stderr, plain.stderr)
    assert b"odd-" in table.stdout
    (row,) = json.loads(plain.stdout)
    assert row["run"].encode("utf-8", "surrogateescape") == b"odd-\xff\xfe-1a2b3c4d"


def test_tables_of_recipes_are_whole(tmp_path: Path) -> None:
    recipe = ROOT / "recipes" / "digits.toml"
    other = tmp_path / "other.toml"
    other.write_text(recipe.read_text().replace("seed = ", f"# {LONG}\nseed = 9", 1))
    found = piped("diff", str(recipe), str(other), root=tmp_path, COLUMNS="40").stdout.decode()
    assert str(other) in found
    described = piped("describe", "optimizer.adamw", root=tmp_path, COLUMNS="40").stdout.decode()
    (line,) = [one for one in described.splitlines() if "peak_lr" in one]
    assert line.rstrip().endswith("│")


def test_no_command_opens_a_console_of_its_own() -> None:
    own = {
        p.name
        for p in (ROOT / "cli").glob("*.py")
        if "Console(" in p.read_text() and "stderr=True" not in p.read_text()
    }
    assert own == {"console.py"}
