"""`asrlab data` on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tomli

from asr_lab.data.catalog import BY_NAME
from asr_lab.errors import DataError
from asr_lab.slots.datasets import Dataset
from cli.main import app

ROOT = Path(__file__).resolve().parents[2]
CORPORA_MD = (ROOT / "docs" / "corpora.md").read_text()
NOT_IN_RECIPES = ("musan", "rirs_noises")


def run(*words: str) -> None:
    app(list(words), standalone_mode=False, prog_name="asrlab")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASRLAB_DATA", str(tmp_path))
    return tmp_path


def test_the_list_names_every_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    run("data", "list")
    table = capsys.readouterr().out
    assert all(name in table for name in BY_NAME)
    run("data", "list", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(BY_NAME)


@pytest.mark.parametrize("name", BY_NAME)
def test_each_corpus_is_shown_and_prepared_or_explained(
    name: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("data", "show", name)
    shown = capsys.readouterr().out
    run("data", "prepare", name, "--dry-run")
    printed = capsys.readouterr().out
    if BY_NAME[name].downloads:
        assert f"fetch it: asrlab data prepare {name}" in shown
        assert f" -> {root}/" in printed
    else:
        assert "https://" in printed
        assert "ASRLAB_DATA" in printed
    assert not list(root.iterdir())


def test_what_is_unknown_is_refused_with_a_hint() -> None:
    with pytest.raises(DataError, match=r"no corpus called 'librispech'; did you mean 'librispeech'"):
        run("data", "prepare", "librispech")
    with pytest.raises(DataError, match=r"has no part 'test-clear'; did you mean 'test-clean'"):
        run("data", "prepare", "librispeech", "--only", "test-clear")


def test_a_recipe_s_sets_are_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(root / "a.wav", np.zeros(8000), 8000)
    (root / "manifest.tsv").write_text("audio\ttext\tspeaker\na.wav\thello\tann\nb.wav\tthere\tbob\n")
    recipe = (ROOT / "recipes" / "conformer_tiny.toml").read_text()
    start = recipe.index("[data]")
    end = recipe.index("\n[", start)
    sets = "[data]\ntrain = [{ type = 'folder', path = '.' }]\nvalid = [{ type = 'ljspeech', splits = ['dev'] }]\n"
    (root / "r.toml").write_text(recipe[:start] + sets + recipe[end:])
    run("data", "show", str(root / "r.toml"))
    shown = capsys.readouterr()
    assert re.search(r"train\[0\] +folder +folder +1 +0\.00 +1 +speaker \(1\)", shown.out)
    assert "valid[0] ljspeech: LJSpeech is not there; looked for" in shown.out
    assert "train[0]: 1 left out, as b: no such file" in shown.err
    run("data", "show", str(root / "r.toml"), "--json")
    assert json.loads(capsys.readouterr().out)[0]["values"] == {"speaker": {"ann": 1}}


def test_a_manifest_is_made(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(root / "a.wav", np.zeros(8000), 8000)
    (root / "a.txt").write_text("hello")
    run("data", "manifest", str(root))
    assert capsys.readouterr().out == f"{root}/manifest.tsv: 1 row; columns id, audio, text\n"


def test_the_document_names_every_corpus_and_its_recipe_is_right() -> None:
    rows = re.findall(r"^\| `([a-z0-9_]+)` \|", CORPORA_MD, flags=re.MULTILINE)
    assert set(rows) <= set(Dataset.tags())
    assert {name for name in BY_NAME if name not in NOT_IN_RECIPES} <= set(rows)
    from asr_lab.config.structure import structure
    from asr_lab.recipe import Data

    (text,) = re.findall(r"```toml\n(.*?)```", CORPORA_MD, flags=re.DOTALL)
    assert len(structure(tomli.loads(text)["data"], Data).train) == 3
