"""Sets decoded one by one, kept, taken up again, and shared among processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

import asr_lab
from asr_lab.commands import decode_sets as decoding
from asr_lab.commands.decode_sets import DecodeRequest, decode_sets, shared, unspellable_of
from asr_lab.commands.evaluate import evaluate_run, evaluation_document
from asr_lab.commands.evaluate_sets import PARTS, evaluate_sets
from asr_lab.commands.launched_sets import executor
from asr_lab.errors import DataError, LabError, RecipeError
from asr_lab.evaluation.evaluation_files import read_evaluation
from asr_lab.evaluation.parts import part_path, read_part
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.runs.directory import RunDirectory
from asr_lab.slots.launch.slurm import Slurm
from asr_lab.text.characters import CharacterTokenizer
from asr_lab.text.normalizer import Normalizer

SETS = tuple(f'{{type="folder", path="tones", name="s{i}", where={{speaker="s{i}"}}}}' for i in range(3))


@pytest.fixture
def run(make: Callable[..., RunDirectory]) -> RunDirectory:
    return make()


def request(run: RunDirectory, *overrides: str) -> DecodeRequest:
    return DecodeRequest(str(run.path), "best", SETS, ("score.bootstrap=100", *overrides), {}, "cpu")


def content(path: Path | None) -> tuple[bytes, bytes]:
    assert path is not None
    return path.read_bytes(), path.with_suffix(".jsonl").read_bytes()


def forget(run: RunDirectory) -> None:
    """As if nothing had been evaluated."""
    for path in run.eval.iterdir():
        path.unlink()


def test_set_by_set_gives_the_scores_of_all_at_once(run: RunDirectory) -> None:
    whole = evaluate_run(run, "best", SETS, ["score.bootstrap=100"], "cpu", show=False)
    one_by_one = evaluate_sets(request(run), {}, 1, show=False)
    assert one_by_one.evaluation.score == whole.evaluation.score
    assert one_by_one.evaluation.sets == whole.evaluation.sets
    assert one_by_one.evaluation.languages is not None
    assert one_by_one.speeds.keys() == {"s0", "s1", "s2"}
    path = one_by_one.path
    assert path is not None
    assert {p.suffix for p in run.eval.glob(f"{path.stem}*")} == {".json", ".jsonl", ".csv", ".html"}
    assert "set by set" in (run.path / "report.html").read_text()


def test_what_was_decoded_is_taken_up_again_and_gives_the_same_bytes(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = content(evaluate_sets(request(run), {}, 1, show=False).path)
    (path,) = (p for p in run.eval.glob("*.json") if not p.name.endswith(".speed.json"))
    forget(run)
    folder = run.eval / f"{path.stem}{PARTS}"
    recipe = evaluation_document(run, SETS, request(run).overrides).value
    decode_sets(request(run), recipe, folder, (0, 2))
    assert sorted(p.name for p in folder.iterdir()) == ["s0.json", "s2.json"]
    done: list[str] = []
    decoded = decoding._decoded
    monkeypatch.setattr(decoding, "_decoded", lambda data, *rest: done.append(data.name) or decoded(data, *rest))
    assert content(evaluate_sets(request(run), {}, 1, show=False).path) == whole
    assert done == ["s1"]
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["cut", "other data", "other format"])
def test_a_part_that_is_not_whole_or_not_of_these_data_is_decoded_anew(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str
) -> None:
    recipe = evaluation_document(run, SETS, request(run).overrides).value
    decode_sets(request(run), recipe, tmp_path / "parts")
    path = part_path(tmp_path / "parts", "s1")
    text = path.read_text()
    stored = json.loads(text)
    changed = {"other data": {**stored, "data": "0" * 64}, "other format": {**stored, "format": 99}}
    path.write_text(text[:200] if damage == "cut" else json.dumps(changed[damage]))
    done: list[str] = []
    decoded = decoding._decoded
    monkeypatch.setattr(decoding, "_decoded", lambda data, *rest: done.append(data.name) or decoded(data, *rest))
    decode_sets(request(run), recipe, tmp_path / "parts")
    assert done == ["s1"]
    found = read_part(tmp_path / "parts", "s1")
    assert found is not None
    assert [row.hypothesis for row in found.rows] == [row["hypothesis"] for row in stored["rows"]]


def test_two_processes_give_the_same_bytes_as_one(run: RunDirectory) -> None:
    one = content(evaluate_sets(request(run), {}, 1, show=False).path)
    forget(run)
    assert content(evaluate_sets(request(run), {}, 2, show=False).path) == one


@pytest.mark.prove
def test_jobs_of_this_machine_give_the_same_bytes(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    one = evaluate_sets(request(run), {}, 1, show=False)
    whole = content(one.path)
    forget(run)
    launched = attrs.evolve(request(run), options={"--launch": 'launch={ type = "local", timeout_min = 5 }'})
    assert content(evaluate_sets(launched, {}, 2, show=False, launch=True).path) == whole


def test_a_job_of_a_cluster_is_one_process_with_this_code(run: RunDirectory, tmp_path: Path) -> None:
    asked = 'launch={ type = "slurm", partition = "cpu", cpus_per_task = 3 }'
    recipe = evaluation_document(run, SETS, (), {"--launch": asked}).value
    assert isinstance(recipe.launch, Slurm)
    script = executor(recipe, recipe.launch, run.path, tmp_path).script()
    for line in ("--nodes=1", "--ntasks-per-node=1", "--cpus-per-task=3", f"--job-name={run.name}-eval", "--requeue"):
        assert f"#SBATCH {line}" in script
    assert f"export PYTHONPATH={Path(asr_lab.__file__).resolve().parent.parent}" in script
    assert f"{Path(os.environ['ASRLAB_DATA']).resolve() / 'tones'}" in script, "each node is asked for the data"


def test_a_wrong_launch_table_names_its_option(run: RunDirectory) -> None:
    with pytest.raises(RecipeError, match=r"--launch +launch.type"):
        evaluation_document(run, SETS, (), {"--launch": 'launch={ type = "slurmy" }'})


def test_what_a_process_ends_on_is_told(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DecodeRequest, "write", lambda self, folder: folder.mkdir(parents=True))
    with pytest.raises(DataError, match=r"request.json cannot be read"):
        evaluate_sets(request(run), {}, 2, show=False)


def test_what_cannot_be_evaluated_is_refused_before_anything_is_decoded(run: RunDirectory) -> None:
    absent = attrs.evolve(request(run), data=(*SETS, '{type="librispeech", splits=["test-clean"]}'))
    with pytest.raises(DataError, match="test-clean"):
        evaluate_sets(absent, {}, 1, show=False)
    with pytest.raises(LabError, match="the leaderboard's tables are not at"):
        evaluate_sets(request(run, 'score.normalizer={type="open_asr"}'), {}, 1, show=False)
    assert not run.eval.exists()


def test_sets_are_dealt_to_processes_in_turn() -> None:
    names = [f"s{i}" for i in range(7)]
    shares = [shared(names, i, 3) for i in range(3)]
    assert sorted(name for share in shares for name in share) == names
    assert {len(share) for share in shares} == {2, 3}


def test_a_language_that_the_text_begins_with_is_a_column_and_no_word() -> None:
    texts = ["<de_de> guten tag", " <en-US>hello", "no <b> here", "<1> two", "<i18n_> x"]
    found = list(decoding._named([DecodedUtterance(str(i), "", text) for i, text in enumerate(texts)]))
    assert [one.hypothesis for one in found] == ["guten tag", "hello", "no <b> here", "<1> two", "<i18n_> x"]
    assert [one.columns.get("identified") for one in found] == ["de_de", "en-US", None, None, None]


def test_what_the_tokenizer_lacks_is_counted_the_most_frequent_first() -> None:
    texts = ["abc", "Abß", "ßü", "ü ß", ""]
    assert unspellable_of(texts, Normalizer(("lower",)), CharacterTokenizer("abc ")) == (3, "ßü")


def test_a_rescored_evaluation_over_sets_keeps_its_facts_and_its_page(run: RunDirectory) -> None:
    from asr_lab.commands.rescore import rescore

    before = evaluate_sets(request(run), {}, 1, show=False)
    assert before.path is not None
    after = rescore(before.path, ["score.scorer=merge_compounds"])
    assert after.path.with_suffix(".html").exists()
    assert after.speeds == before.speeds
    assert read_evaluation(after.path)["languages"] == read_evaluation(before.path)["languages"]
