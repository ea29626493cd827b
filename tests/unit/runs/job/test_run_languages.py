"""Languages are mixed by a temperature in a run, from the column of a manifest to the record of what was drawn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr_lab.errors import DataError
from cli.main import app

Write = Callable[..., Path]


@pytest.fixture
def two_languages(recipe: Write, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tones, those of one speaker of Esperanto and the others of German."""
    shutil.copytree(tones, tmp_path / "data")
    monkeypatch.setenv("ASRLAB_DATA", str(tmp_path / "data"))
    (manifest,) = (tmp_path / "data").rglob("manifest.tsv")
    head, *rows = manifest.read_text().splitlines()
    speaker = head.split("\t").index("speaker")
    both = [f"{row}\t{'eo' if row.split(chr(9))[speaker] == 's0' else 'de'}" for row in rows]
    manifest.write_text("\n".join([f"{head}\tlanguage", *both, ""]))
    return recipe("max_steps = 12", "max_steps = 2")


def test_a_run_says_what_its_languages_get(two_languages: Path) -> None:
    done = CliRunner().invoke(app, ["run", str(two_languages), "--set", "data.temperature=4", "--json"])
    assert done.exit_code == 0, done.output
    folder = Path(json.loads(done.stdout)["path"])
    shares = json.loads((folder / "provenance.json").read_text())["attempts"][-1]["languages"]
    assert set(shares) == {"de", "eo"}
    de, eo = shares["de"], shares["eo"]
    assert de["there"] + eo["there"] == pytest.approx(1)
    powers = [de["there"] ** 0.25, eo["there"] ** 0.25]
    assert eo["drawn"] == pytest.approx(powers[1] / sum(powers))
    told = {name: f"{name} {share['drawn']:.1%} (of {share['there']:.1%})" for name, share in shares.items()}
    line = ", ".join(told[name] for name in sorted(told, key=lambda name: -shares[name]["there"]))
    assert f"data.temperature = 4: of an epoch's audio {line}" in done.stderr


def test_without_languages_a_temperature_is_refused_with_the_way_out(recipe: Write) -> None:
    done = CliRunner().invoke(app, ["run", str(recipe()), "--set", "data.temperature=2"])
    assert isinstance(done.exception, DataError)
    assert "the column `language` of data.train tells apart two or more: none is told" in str(done.exception)
