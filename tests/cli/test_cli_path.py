"""Files of a user's own, added by `--path`: what checking a recipe that names them imports, and what it says of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asr_lab.errors import LabError
from cli.main import app

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "recipes" / "conformer_tiny.toml"
LIGHT = '''
from __future__ import annotations

from typing import TYPE_CHECKING

from asr_lab.config.section import section
from asr_lab.slots.blocks import Block

if TYPE_CHECKING:
    from asr_lab.nn.blocks import Norm


@section
class Mine(Block):
    """LayerNorm by another name."""

    def build(self, dim: int, dropout: float) -> Norm:
        from asr_lab.nn.blocks import Norm

        return Norm(dim)
'''
WITH_ITS_LAYER = '''
from __future__ import annotations

from asr_lab.config.section import section
from asr_lab.nn.blocks import Norm
from asr_lab.slots.blocks import Block


class Layer(Norm):
    """LayerNorm by another name."""


@section
class Mine(Block):
    """A section that stands beside its layer."""

    def build(self, dim: int, dropout: float) -> Layer:
        return Layer(dim)
'''
USES = "encoder.block.conf={ type = 'mine' }"
SCRIPT = (
    "import sys; from cli.main import app; app(standalone_mode=False); sys.exit(3 if 'torch' in sys.modules else 0)"
)
LOADED_TORCH = 3


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine" / "blocks").mkdir(parents=True)
    return tmp_path / "mine"


def asrlab(mine: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a fresh interpreter; its code is 3 where it went well and torch was loaded."""
    command = [sys.executable, "-c", SCRIPT, "--path", str(mine), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def note_on(file: Path) -> str:
    what = rf"{re.escape(str(file))} imports torch, which takes \d+\.\d s of every check"
    return rf"note: {what}; import it inside build\(\)"


def test_a_file_without_torch_leaves_check_without_it(mine: Path) -> None:
    (mine / "blocks" / "mine.py").write_text(LIGHT)
    done = asrlab(mine, "check", str(TINY), "--set", USES)
    assert (done.returncode, done.stderr) == (0, "")
    assert "9 mine" in done.stdout
    assert "note" not in done.stdout


def test_a_file_with_its_layer_works_and_check_says_once_what_that_costs(mine: Path) -> None:
    file = mine / "blocks" / "mine.py"
    file.write_text(WITH_ITS_LAYER)
    done = asrlab(mine, "check", str(TINY), str(TINY), "--set", USES)
    assert (done.returncode, done.stderr) == (LOADED_TORCH, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(f"  {note_on(file)}", lines[1])
    found = json.loads(asrlab(mine, "check", str(TINY), str(TINY), "--set", USES, "--json").stdout)
    assert [len(one["notes"]) for one in found] == [1, 0]
    assert re.fullmatch(note_on(file), f"note: {found[0]['notes'][0]}")
    wrong = asrlab(mine, "check", str(TINY), "--set", USES, "--set", "encoder.dim=x")
    assert re.match(note_on(file), wrong.stderr)
    explained = asrlab(mine, "explain", str(TINY), "--set", USES)
    assert (explained.returncode, explained.stderr) == (LOADED_TORCH, "")
    assert "mine" in explained.stdout


def test_files_that_the_recipe_does_not_name_are_not_imported(mine: Path) -> None:
    (mine / "blocks" / "mine.py").write_text(LIGHT)
    (mine / "blocks" / "heavy.py").write_text(WITH_ITS_LAYER)
    (mine / "blocks" / "broken.py").write_text("def:")
    done = asrlab(mine, "check", str(TINY), "--set", USES)
    assert (done.returncode, done.stderr) == (0, "")
    described = asrlab(mine, "describe", "encoder.block")
    assert f"{mine / 'blocks' / 'broken.py'} cannot be imported: SyntaxError" in described.stderr


@pytest.mark.parametrize(
    ("folders", "why"),
    [(None, "no such folder"), ((), "it has none of the folders augments/, blocks/"), (("block",), "it has none")],
)
def test_a_folder_that_adds_nothing_is_refused(tmp_path: Path, folders: tuple[str, ...] | None, why: str) -> None:
    mine = tmp_path / "mine"
    for name in folders or ():
        (mine / name).mkdir(parents=True)
    if folders == ():
        mine.mkdir()
    with pytest.raises(LabError, match=f"--path {mine}: {why}"):
        app(["--path", str(mine), "check", str(TINY)], standalone_mode=False)
