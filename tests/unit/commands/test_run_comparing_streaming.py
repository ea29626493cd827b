"""`asrlab compare-streaming`, as typed, on real recordings and stored weights that are random."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.inputs import read_inputs
from asr_lab.compiler.load import load_recipe
from asr_lab.runs.directory import RunDirectory, create_run, runs_root
from asr_lab.training.state import Snapshot, model_tensors
from asr_lab.training.store import CheckpointStore
from cli.main import app

RECIPE = """
name = "digits"
seed = 5
[features]
type = "log_mel"
sample_rate = 8000
num_mels = 16
level = "running"
[tokenizer]
type = "chars"
[encoder]
dim = 16
stem = { type = "depthwise_stride", factor = 4, channels = 8 }
contexts = [{ chunk_ms = 160, left_ms = 640 }, { chunk = "whole" }]
stack = [{ blocks = ["one", "two"] }]
block.one = { type = "macaron", mixer = { type = "mamba2", head_dim = 8, state_dim = 8 } }
block.two = { type = "macaron", mixer = { type = "attention", num_heads = 2 } }
[[decoder]]
type = "ctc"
[data]
train = [{ type = "folder", path = "fsdd", where = { split = "train" } }]
test = [{ type = "folder", path = "fsdd", name = "digits", where = { split = "test" } }]
[train]
max_steps = 1
batch_s = 10
[score]
bootstrap = 100
"""
WHISPER = (
    'level = "running"',
    'floor = "utterance"',
    'contexts = [{ chunk_ms = 160, left_ms = 640 }, { chunk = "whole" }]',
    "",
    '[[decoder]]\ntype = "ctc"',
    '[[decoder]]\ntype = "ctc"\n[[decoder]]\ntype = "attention"\nnum_layers = 1\nnum_heads = 2\nmax_tokens = 12',
)
CHEAT = '''
"""A block that looks at all of the step it is given."""
from asr_lab.slots.blocks import Block
from asr_lab.config.section import section
from asr_lab.streaming import Streamable


class Peek(Streamable[tuple[()]]):
    def initial_state(self, batch, context):
        return ()

    def forward(self, state, chunk, context):
        return (), chunk.with_x(chunk.x + chunk.valid().mean(1, keepdim=True))


@section
class Cheat(Block):
    """Looks across its chunk."""

    def build(self, dim: int, dropout: float) -> Peek:
        return Peek()
'''
Make = Callable[..., RunDirectory]


@pytest.fixture
def make(tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A run of the recipe, changed as asked, whose checkpoint holds random weights."""
    torch.set_num_threads(1)
    monkeypatch.setenv("ASRLAB_DATA", str(speech))
    monkeypatch.setenv("ASRLAB_RUNS", str(tmp_path / "runs"))

    def write(*replacements: str) -> RunDirectory:
        text = RECIPE
        for old, new in zip(replacements[::2], replacements[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        document = load_recipe(path)
        run = create_run(document, runs_root())
        vocabulary = read_inputs(document.value, run.path).vocabulary
        tensors = model_tensors(seeded_model(document.value, vocabulary.vocab_size))
        CheckpointStore(run.checkpoints).save(Snapshot({"model": tensors}, {"progress": {"step": 1}}))
        return run

    return write


def compare_streaming(*words: str) -> Result:
    return CliRunner().invoke(app, ["compare-streaming", *words], env={"COLUMNS": "80"})


def test_a_run_is_proved_and_compared_and_all_of_it_is_written(make: Make) -> None:
    run = make()
    done = compare_streaming("--chunk-ms", "160,320,90,whole", "--max-utterances", "3", "--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content.keys() == {"format", "about", "proof", "rows", "refused", "set", "timed", "unaligned", "files"}
    _check_proof(content["proof"])
    assert [(r["label"], r["trained"]) for r in content["rows"]] == [
        ("offline", True),
        ("160 ms", True),
        ("320 ms", False),
    ]
    assert content["refused"] == [{"label": "90 ms", "reason": "not a whole number of the stack's frames of 40 ms"}]
    for row in content["rows"]:
        _check_row(row)
    assert content["set"]["utterances"] == 3
    (folder,) = (run.eval / "streaming").iterdir()
    assert json.loads((folder / "streaming.json").read_text()) == content
    assert json.loads((folder / "proof.json").read_text()) == content["proof"]
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "curve.svg").read_text()
    assert len((folder / "160ms.jsonl").read_text().splitlines()) == 3
    again = compare_streaming("--chunk-ms", "whole", "--max-utterances", "3", "--json")
    assert "scored 2 times" in again.stderr
    assert json.loads(again.stdout)["proof"]["utterances"] == content["proof"]["utterances"]


def _check_proof(proof: dict[str, Any]) -> None:
    assert proof["holds"]
    assert (proof["problems"], proof["num_differing"]) == ([], 0)
    assert {c["context"] for c in proof["checks"]} == {"160 ms", "320 ms", "whole"}
    assert max(c["difference"] for c in proof["checks"] if c["dtype"] == "float64") < 1e-9
    assert 0 < max(c["difference"] for c in proof["checks"] if c["dtype"] == "float32") < 1e-4


def _check_row(row: dict[str, Any]) -> None:
    assert row["rates"]["wer"]["low"] <= row["rates"]["wer"]["value"] <= row["rates"]["wer"]["high"]
    assert row["speed"]["num_chunks"] >= 3
    if row["label"] == "offline":
        assert row["differences"] is row["delay"] is row["state_bytes"] is None
        assert row["latency"]["flicker"] == 0
        return
    assert (
        row["differences"]["wer"]["low"] <= row["differences"]["wer"]["difference"] <= row["differences"]["wer"]["high"]
    )
    delay = row["delay"]
    assert (delay["chunk_ms"], delay["stem_ms"]) == (row["chunk_ms"], 0)
    assert 0 < delay["window_ms"] < 10
    assert delay["worst_ms"] == delay["window_ms"] + delay["chunk_ms"]
    assert delay["mean_ms"] == delay["worst_ms"] - delay["chunk_ms"] / 2
    assert row["state_bytes"] > 0


def test_what_is_published_goes_where_it_is_wanted(make: Make, tmp_path: Path) -> None:
    make()
    readme, out = tmp_path / "page.md", tmp_path / "docs"
    readme.write_text("<!-- streaming:start -->\n<!-- streaming:end -->\n")
    words = ["--chunk-ms", "160", "--max-utterances", "2", "--json", "--publish", "Digits"]
    done = compare_streaming(*words, "--out", str(out), "--readme", str(readme))
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in out.iterdir()) == ["digits.json", "digits.png", "digits.svg"]
    assert "**Digits**" in readme.read_text()


def test_the_tables_fit_80_columns(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.console.PIPE_WIDTH", 80)
    make()
    done = compare_streaming("--chunk-ms", "320", "--max-utterances", "2")
    assert done.exit_code == 0, done.output
    assert "The proof holds" in done.stdout
    assert "the model was not trained with this context" in " ".join(done.stdout.split())
    paths = ("curve:", "everything:", "/")
    assert max(len(line.rstrip()) for line in done.stdout.splitlines() if not line.startswith(paths)) <= 80


def test_a_block_that_looks_across_its_chunk_ends_with_1_and_is_named(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine" / "blocks").mkdir(parents=True)
    (tmp_path / "mine" / "blocks" / "cheat.py").write_text(CHEAT)
    monkeypatch.setenv("ASRLAB_PATH", str(tmp_path / "mine"))
    run = make('{ type = "macaron", mixer = { type = "attention", num_heads = 2 } }', '{ type = "cheat" }')
    done = compare_streaming("--chunk-ms", "160", "--max-utterances", "2")
    assert done.exit_code == 1
    assert "160 ms, float64, random cuts: layer 2 (block 'two') (Peek) is the first part that" in done.stderr
    assert "160 ms, float32, live, hop by hop: layer 2 (block 'two') (Peek)" in done.stderr
    (folder,) = (run.eval / "streaming").iterdir()
    proof = json.loads((folder / "proof.json").read_text())
    assert not proof["holds"]
    assert [p.name for p in folder.iterdir()] == ["proof.json"]


def test_an_offline_model_is_told_why_it_cannot_stream_and_is_decoded_by_agreement(make: Make) -> None:
    make(*WHISPER)
    done = compare_streaming("--max-utterances", "3", "--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert {one["label"] for one in content["refused"]} == {f"{ms} ms" for ms in (80, 160, 320, 640, 1280)}
    assert {one["reason"].split(":")[0] for one in content["refused"]} == {"features"}
    assert {(c["context"], c["cutting"]) for c in content["proof"]["checks"]} == {("whole", "alone and in a batch")}
    assert [(r["label"], r["kind"]) for r in content["rows"]] == [
        ("offline", "offline"),
        ("agreement", "agreement"),
    ]
    assert content["rows"][1]["reencoded_s_per_s"] >= 1
    assert content["rows"][1]["delay"]["worst_ms"] == 1000


@pytest.mark.parametrize("chunks", ["fast", "0", "-80", "inf"])
def test_chunks_that_are_none_end_with_2(make: Make, chunks: str) -> None:
    assert compare_streaming("--chunk-ms", chunks).exit_code == 2
