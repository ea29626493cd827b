"""What `asrlab eval` makes of its arguments, and how it counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lab.commands.evaluate import dataset_of, evaluation_document
from asr_lab.commands.study import folds
from asr_lab.commands.test_reads import add_read, num_reads
from asr_lab.compiler.load import load_recipe
from asr_lab.errors import DataError, LabError, RecipeError
from asr_lab.evaluation.evaluation_files import evaluate, write_evaluation
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.runs.directory import RunDirectory, create_run
from asr_lab.runs.events import EventWriter
from asr_lab.text.normalizer import Normalizer

RECIPE = """
name = "small"
[features]
type = "log_mel"
[tokenizer]
type = "chars"
[encoder]
dim = 16
stem = { type = "frame_stack" }
stack = [{ blocks = ["a"] }]
block.a = { type = "transformer", mixer = { type = "attention", num_heads = 2 } }
[[decoder]]
type = "ctc"
[data]
train = [{ type = "folder", path = "digits", where = { split = "train", kind = "digits" } }]
valid = [{ type = "folder", path = "digits", where = { split = "valid", kind = "digits" } }]
test = [{ type = "folder", path = "digits", name = "folder", where = { split = "test", kind = "digits" } }]
[train]
max_steps = 1
batch_s = 10
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return create_run(load_recipe(path, ("seed=3",)), tmp_path / "runs")


def table(folder: Path, name: str = "manifest.tsv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["audio\ttext\tspeaker\tkind"]
    rows += [f"{s}{i}.wav\tone\t{s}\t{k}" for i in range(2) for s in ("ann", "ben") for k in ("digits", "words")]
    rows.append("cid.wav\tone\tcid\twords")
    (folder / name).write_text("\n".join(rows) + "\n")
    return folder / name


def test_data_may_be_a_table_a_folder_cuts_or_a_slot(tmp_path: Path) -> None:
    path = table(tmp_path / "corpus", "dev.tsv")
    folder = str(path.parent)
    found = dataset_of(str(path))
    assert found == {"type": "folder", "path": folder, "transcripts": "dev.tsv", "name": "dev"}
    assert dataset_of(folder) == {"type": "folder", "path": folder, "name": "corpus", "transcripts": "dev.tsv"}
    (path.parent / "._dev.tsv").write_bytes(b"\x00\x05\x16\x07")
    assert dataset_of(folder)["transcripts"] == "dev.tsv", "macOS's notes on files are no tables"
    table(path.parent)
    assert dataset_of(folder) == {"type": "folder", "path": folder, "name": "corpus"}
    nemo = tmp_path / "nemo.json"
    nemo.touch()
    assert dataset_of(str(nemo))["type"] == "nemo"
    cuts = tmp_path / "cuts.jsonl.gz"
    cuts.touch()
    assert dataset_of(str(cuts)) == {"type": "manifest", "path": str(cuts), "name": "cuts"}
    assert dataset_of('{type="folder", path="x", where={split="test"}}')["where"] == {"split": "test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("nowhere", "no such file or folder"), ("{type=", "not an inline table"), ("a.txt", "a manifest ends in .tsv")],
)
def test_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=message):
        dataset_of(text)


def test_several_tables_in_a_folder_need_a_choice(tmp_path: Path) -> None:
    table(tmp_path, "a.tsv")
    table(tmp_path, "b.tsv")
    with pytest.raises(DataError, match=r"a\.tsv, b\.tsv"):
        dataset_of(str(tmp_path))


def test_evaluating_sets_data_and_decoding_on_top_of_what_was_trained(run: RunDirectory, tmp_path: Path) -> None:
    path = table(tmp_path / 'odd "name"')
    recipe = evaluation_document(run, [str(path), '{type="folder", path="x"}'], ["decode.beam=4"]).value
    assert recipe.seed == 3
    assert recipe.decode.beam == 4
    assert [getattr(d, "path", "") for d in recipe.data.test] == [str(path.parent), "x"]
    assert evaluation_document(run, [], []).value.data.test[0].name == "folder"


def test_evaluating_cannot_change_what_was_trained(run: RunDirectory) -> None:
    with pytest.raises(LabError, match=r"--set #2: encoder\.dim decides what was trained"):
        evaluation_document(run, [], ["decode.beam=4", "encoder.dim=32"])


def test_problems_name_this_commands_own_options(run: RunDirectory) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluation_document(run, ['{type="nothing"}'], ["decode.beam=0"])
    assert {p.file for p in caught.value.problems} == {"--data", "--set #1"}


def test_every_look_at_a_test_set_is_counted(run: RunDirectory) -> None:
    rows = [DecodedUtterance("a", "one", "one", {}, 1.0)]
    scores = evaluate({"x": rows}, Normalizer(()), 100, 0)
    own = scores.score.hash
    assert num_reads(run, own) == 0
    with EventWriter(run.events_file, 1) as events:
        events.write("state", {"state": "scoring"})
    write_evaluation(scores, run.eval, "test")
    assert num_reads(run, own) == 1
    assert add_read(run, own, {"data": "data.test"}) == 2
    assert add_read(run, "f" * 64, {"data": ["x"]}) == 1
    assert add_read(run, own, {}) == 3


def test_leaving_one_out_takes_it_from_training_and_tests_on_all_of_it(run: RunDirectory, tmp_path: Path) -> None:
    table(tmp_path / "digits")
    document = run.document()
    found = folds(document, "folder", "speaker", tmp_path)
    assert [f.values for f in found] == [{"speaker": "ann"}, {"speaker": "ben"}]
    assert found[0].overrides[1:4] == (
        'name="small_without_ann"',
        'data.train[0].where.speaker="!ann"',
        'data.valid[0].where.speaker="!ann"',
    )
    recipe = load_recipe(run.recipe_file, found[0].overrides).value
    assert recipe.data.train[0].where == {"split": "train", "kind": "digits", "speaker": "!ann"}
    assert [(d.name, d.where) for d in recipe.data.test] == [("ann", {"kind": "digits", "speaker": "ann"})]


@pytest.mark.parametrize(
    ("label", "column", "message"), [("other", "speaker", "no set called"), ("folder", "split", "chooses by 'split'")]
)
def test_leaving_out_what_is_not_there_is_refused(
    run: RunDirectory, tmp_path: Path, label: str, column: str, message: str
) -> None:
    table(tmp_path / "digits")
    with pytest.raises(DataError, match=message):
        folds(run.document(), label, column, tmp_path)
