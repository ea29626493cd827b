"""The recipes of published corpora: they train on the published layout, and say how they scale and what they cost."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import attrs
import pytest
import soundfile
import tomli
from typer.testing import CliRunner

from asr_lab.compiler.graph import recipe_graph
from asr_lab.compiler.load import load_recipe
from asr_lab.compiler.size import num_parameters
from asr_lab.runs.events import read_events
from asr_lab.runs.world_size import one_for_several
from asr_lab.slots.datasets.librispeech import LibriSpeech
from asr_lab.training.metrics import read_metrics
from asr_lab.training.parallel.world import World
from cli.main import app

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "slots" / "datasets"))

from narrow_width import narrow_width
from published_trees import RATE, SPEAKERS, Clip, fleurs_hub, librispeech

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
ON_LIBRISPEECH = sorted(
    path
    for path in RECIPES.glob("*.toml")
    if any(isinstance(data, LibriSpeech) for data in load_recipe(path).value.data.train)
)
OF_CORPORA = (
    "fleurs_102",
    "librispeech_100h_conformer",
    "librispeech_100h_ssm",
    "librispeech_100h_whisper",
    "mini_librispeech",
)
PARTS = ("train-clean-100", "train-clean-5", "dev-clean", "dev-other", "dev-clean-2", "test-clean", "test-other")
CODES = ("af_za", "de_de")
FLOP_PER_MAC = 6
"""In training: two forward, four backward."""


@pytest.mark.parametrize("path", ON_LIBRISPEECH, ids=lambda p: p.stem)
def test_a_recipe_of_50_million_parameters_and_more_shares_its_work_when_it_is_told_to(path: Path) -> None:
    recipe = load_recipe(path).value
    is_large = num_parameters(recipe) > 45e6
    wanted = "fsdp" if path.stem == "ssm_b200" else "ddp" if is_large else "single"
    assert recipe.parallel.tag() == wanted
    assert recipe.launch.tag() == "inline"
    line = one_for_several(recipe.parallel, World())
    assert ("""--set 'launch={type="slurm", nodes=1, gpus_per_node=8}'""" in line) == is_large


@pytest.mark.parametrize("name", OF_CORPORA)
def test_a_recipe_says_what_to_expect_and_what_it_costs(name: str) -> None:
    path = RECIPES / f"{name}.toml"
    told = " ".join(line.removeprefix("#").strip() for line in path.read_text().split("name =")[0].splitlines())
    assert "Expected: " in told
    assert "An estimate: it has not been run." in told
    macs = recipe_graph(load_recipe(path).value).macs_per_s / 1e6
    (stated,) = re.findall(r"([\d,]+) MMAC a second", told)
    assert float(stated.replace(",", "")) == pytest.approx(macs, rel=0.005)
    if products := re.findall(r"are ([\d.]+) TFLOP an hour", told):
        assert float(products[0]) == pytest.approx(FLOP_PER_MAC * macs * 3600 / 1e6, rel=0.01)


@pytest.fixture(scope="module")
def trees(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LibriSpeech's parts and two languages of FLEURS as they are published, of six whole recordings."""
    root = tmp_path_factory.mktemp("corpora")
    folder = speech / "librispeech-test-other-excerpt"
    with (folder / "manifest.tsv").open() as file:
        rows = sorted(csv.DictReader(file, delimiter="\t"), key=lambda row: float(row["duration_s"]))
    clips = []
    for row in [row for speaker in SPEAKERS for row in [one for one in rows if one["speaker"] == speaker][:3]]:
        samples, rate = soundfile.read(folder / row["audio"], dtype="int16")
        assert rate == RATE
        clips.append(Clip(row["speaker"], row["text"], samples))
    for number, part in enumerate(PARTS):  # a part has speakers of its own, and so its utterances have their own ids
        librispeech(root, [attrs.evolve(clip, speaker=f"{number}{clip.speaker}") for clip in clips], part)
    for code in CODES:
        for split in ("train", "dev", "test"):
            fleurs_hub(root, clips, code=code, split=split)
    return root


@pytest.mark.prove
@pytest.mark.parametrize("name", OF_CORPORA)
def test_it_trains_on_the_published_layout(
    name: str, trees: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASRLAB_DATA", str(trees))
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path))
    path = RECIPES / f"{name}.toml"
    changed = {
        **narrow_width(tomli.loads(path.read_text()), 64),
        "schedule.warmup_steps": 2,
        "precision": '{type="fp32"}',
        "train.batch_s": 40,
        "train.max_steps": 4,
        "train.valid_every_steps": 4,
        "data.num_workers": 0,
        "data.max_left_out": 0.5,  # a line without a recording stands in each part
        "score.bootstrap": 100,
        "decode": "{ beam = 1 }",
    }
    if name == "fleurs_102":
        for part in ("train", "valid", "test"):
            changed[f"data.{part}[0].languages"] = json.dumps(CODES)
    options = [word for key, value in changed.items() for word in ("--set", f"{key}={value}")]
    done = CliRunner().invoke(app, ["run", str(path), "--json", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    folder = Path(json.loads(done.stdout)["path"])
    assert [record["step"] for record in read_metrics(folder / "metrics.jsonl")] == [1, 2, 3, 4]
    (valid,) = [event.data for event in read_events(folder / "events.jsonl") if event.kind == "valid"]
    assert set(valid.get("languages", ())) == ({"af", "de"} if name == "fleurs_102" else set())
    assert (folder / "eval" / "test.json").is_file()
