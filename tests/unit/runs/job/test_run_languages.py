"""Languages are mixed by a temperature in a run, from the column of a manifest to the record of what was drawn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from asr_lab.compiler.build import build
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import DataError, LabError
from asr_lab.evaluation.evaluation_files import read_evaluation
from asr_lab.files import read_jsonl
from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.runs.events import read_events
from asr_lab.runs.find import all_runs
from asr_lab.runs.status import status_of
from asr_lab.runs.view import describe
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


def test_a_validation_says_how_good_each_language_is(two_languages: Path) -> None:
    folder = validated(two_languages)
    valid = validation(folder)
    counts: dict[str, list[int]] = {}
    for row in read_jsonl(folder / "eval" / "valid.jsonl"):
        total = counts.setdefault(row["language"], [0, 0])
        errors = row["errors"]["cer"]
        total[0] += sum(errors[kind] for kind in ("substitutions", "deletions", "insertions"))
        total[1] += errors["reference"]
    assert set(counts) == {"de", "eo"}
    assert valid["languages"] == {name: errors / reference for name, (errors, reference) in counts.items()}
    errors, reference = (sum(one[i] for one in counts.values()) for i in (0, 1))
    assert valid["value"] == valid["best"] == errors / reference, "the score that counts is over all"
    assert describe(status_of(RunDirectory(folder))).count("[") == 1
    assert f"<td>eo</td><td>{100 * valid['languages']['eo']:.2f}</td>" in (folder / "report.html").read_text()


def test_tensorboard_draws_each_language(two_languages: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = validated(two_languages, 'log.listeners=["tensorboard"]')
    valid = validation(folder)
    shown = accumulator.EventAccumulator(str(folder / "tensorboard")).Reload()
    drawn = {name: shown.Scalars(f"valid/cer_{name}")[-1].value for name in ("de", "eo")}
    assert drawn == pytest.approx(valid["languages"])
    assert shown.Scalars("valid/cer")[-1].value == pytest.approx(valid["value"])
    assert shown.Scalars("valid/loss")[-1].value == pytest.approx(valid["loss"])


def validated(recipe: Path, *overrides: str) -> Path:
    """The directory of a run that validated, by characters, on both languages."""
    overrides = ('data.valid[0].where.split="train"', "train.metric=cer", *overrides)
    done = CliRunner().invoke(app, ["run", str(recipe), "--json", *options(*overrides)])
    assert done.exit_code == 0, done.output
    return Path(json.loads(done.stdout)["path"])


def validation(folder: Path) -> dict[str, Any]:
    (found,) = [one.data for one in read_events(folder / "events.jsonl") if one.kind == "valid"]
    return found


def test_a_validation_of_one_language_is_as_before(recipe: Write) -> None:
    done = CliRunner().invoke(app, ["run", str(recipe("max_steps = 12", "max_steps = 1")), "--json"])
    assert done.exit_code == 0, done.output
    folder = Path(json.loads(done.stdout)["path"])
    assert all("languages" not in one.data for one in read_events(folder / "events.jsonl"))
    assert "by language" not in (folder / "report.html").read_text()


NAMES = 'decoder=[{ type = "ctc" }, { type = "attention", num_layers = 1, num_heads = 2, languages = ["de", "eo"] }]'


def test_a_decoder_that_names_languages_is_trained_on_the_column_and_scored_by_it(two_languages: Path) -> None:
    done = CliRunner().invoke(app, ["run", str(two_languages), *options(NAMES, 'data.test[0].where.split="train"')])
    assert done.exit_code == 0, (done.output, done.exception)
    (run,) = all_runs(runs_root())
    content = read_evaluation(run.eval / "test.json")
    rows = list(read_jsonl(run.eval / "test.jsonl"))
    assert {row["identified"] for row in rows} <= {"de", "eo"}
    right = {name: [row["identified"] == name for row in rows if row["language"] == name] for name in ("de", "eo")}
    found = content["identification"]
    for name, one in right.items():
        own = found["languages"][name]
        assert (own["value"], own["utterances"]) == (pytest.approx(sum(one) / len(one)), len(one))
        assert 0 <= own["low"] <= own["value"] <= own["high"] <= 1
    assert found["value"] == pytest.approx(sum(map(sum, right.values())) / len(rows))
    assert "languages named by the model" in (run.path / "report.html").read_text()

    told = CliRunner().invoke(app, ["eval", run.name, "--json", *options('decode.language="eo"')])
    assert told.exit_code == 0, (told.output, told.exception)
    assert "identification" not in json.loads(told.stdout), "what is told is not identified"
    shown = CliRunner().invoke(app, ["eval", run.name])
    assert "languages named by the model" in shown.output
    for decoder in ("rescoring", "joint"):
        passes = options(f'decode={{ decoder = "{decoder}", beam = 2 }}')
        twice = CliRunner().invoke(app, ["eval", run.name, "--json", *passes])
        assert json.loads(twice.stdout)["identification"]["utterances"] == len(rows), twice.output


def test_training_gets_each_utterances_language(two_languages: Path, tmp_path: Path) -> None:
    experiment = build(load_recipe(two_languages, (NAMES, "augment=[]")), tmp_path / "run")
    rows = (tmp_path / "data" / "tones" / "manifest.tsv").read_text().splitlines()[1:]
    spoken = {row.split("\t")[0]: row.split("\t")[-1] for row in rows}
    seen = {}
    for step in experiment.learner.data.steps(0):
        for batch in step.batches:
            assert batch.targets.languages is not None
            for one in (batch, *batch.utterances()):
                seen.update(
                    zip(one.ids, (("de", "eo")[place] for place in one.targets.languages.tolist()), strict=True)
                )
    assert seen == {name: spoken[name] for name in seen}
    assert set(seen.values()) == {"de", "eo"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (NAMES.replace("eo", "ru"), "of 24 utterances 12 are 'eo', which is none of de, ru"),
        ("decode.language=de", "decode.language: has no effect: no decoder is used that names languages"),
        ('decoder=[{ type = "attention", languages = ["de"] }]', "must hold two or more, or none, got 'de' alone"),
        ('decoder=[{ type = "attention", languages = ["de", "de"] }]', "different names that are not empty"),
    ],
)
def test_a_language_that_cannot_be_named_is_refused_with_the_way_out(
    two_languages: Path, override: str, message: str
) -> None:
    done = CliRunner().invoke(app, ["run", str(two_languages), *options(override)])
    assert isinstance(done.exception, LabError | SystemExit)
    assert message in " ".join(f"{done.output} {done.stderr} {done.exception}".split())


def test_a_language_to_decode_in_is_one_that_is_named(two_languages: Path) -> None:
    with pytest.raises(LabError, match=r"no language called 'fr'.*have: de, eo"):
        load_recipe(two_languages, (NAMES, "decode.language=fr"))
    joined = "data.train[0].join={ max_utterances = 2 }"
    with pytest.raises(LabError, match=r'join\.same: must be "language": decoder.languages names one'):
        load_recipe(two_languages, (NAMES, joined))


def options(*overrides: str) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]
