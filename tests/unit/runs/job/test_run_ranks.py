"""Several processes that train one run, against one: the same files, whatever becomes of a rank."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rank_processes import Rank, run_ranks, start_ranks

import asr_lab
from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.proofs.digests import digests
from asr_lab.runs.provenance import read_provenance
from asr_lab.runs.status import status_of
from asr_lab.training.metrics import read_metrics
from asr_lab.training.sharded.shard_file import is_shard_name
from asr_lab.training.store import CheckpointStore

SHARED = 'type = "{}"\nparts = 2'
BITWISE = '\n[determinism]\nlevel = "bitwise"\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tones: Path) -> Iterator[Path]:
    """A folder for recipes, with data and runs beside them."""
    folder = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRLAB_DATA", str(tones))
        patch.setenv("ASRLAB_RUNS", str(folder / "runs"))
        yield folder


Write = Callable[..., Path]


@pytest.fixture(scope="module")
def write(place: Path, recipe_text: str) -> Write:
    def write(kind: str, *replacements: str, more: str = BITWISE) -> Path:
        text = recipe_text.replace('type = "single"\nmax_rank_batch_s = 3', SHARED.format(kind))
        for old, new in zip(replacements[::2], replacements[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        path = place / f"{kind}.toml"
        path.write_text(text + more)
        return path

    return write


SETS = ("--checkpoint", "average:2", "--data", '{type="folder", path="tones"}')


def the_run(place: Path) -> RunDirectory:
    """The run that rank 0 named last."""
    return RunDirectory(Path((place / "rank-0.log").read_text().partition(":")[0]))


@pytest.fixture(scope="module")
def alone(place: Path, write: Write) -> dict[str, str]:
    """What one process with two microbatches a step ends with."""
    [(code, output)] = run_ranks(1, place, "run", str(write("single")))
    assert code == 0, output
    return digests(the_run(place))


def begun(place: Path, ranks: list[Rank]) -> RunDirectory:
    """The run of these ranks, once it has a checkpoint."""
    wait_for(lambda: "a new run" in (place / "rank-0.log").read_text(), ranks)
    run = the_run(place)
    wait_for((run.checkpoints / "step-00000004").is_dir, ranks)
    return run


def wait_for(what: Callable[[], bool], ranks: list[Rank]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        assert all(rank.process.exitcode is None for rank in ranks), [rank.output.read_text() for rank in ranks]
        time.sleep(0.01)


@pytest.mark.parametrize("kind", [pytest.param("ddp", marks=pytest.mark.prove), "fsdp"])
def test_two_ranks_write_what_one_process_writes(kind: str, place: Path, write: Write, alone: dict[str, str]) -> None:
    first, other = run_ranks(2, place, "run", str(write(kind)), "--again")
    assert (first[0], other[0]) == (0, 0), first[1] + other[1]
    run = the_run(place)
    assert digests(run) == alone
    assert "words (WER)" in first[1]
    assert other[1] == ""
    record = read_provenance(run)[-1]
    world = {"processes": 2, "parallel": kind, "launcher": "torchrun", "parts": 2, "max_rank_batch_s": None, "order": 2}
    assert record["world"] == world
    newest = CheckpointStore(run.checkpoints).find("last")
    assert sum(is_shard_name(path.name) for path in newest.iterdir()) == 2
    steps = list(read_metrics(run.metrics_file))
    cores = 2 * max(1, len(os.sched_getaffinity(0)) // 2)
    for step in steps:
        assert step["num_microbatches"] == 2
        assert step["audio_h_per_core_h"] == pytest.approx(step["audio_s_per_s"] / cores)


def test_one_process_and_two_score_what_two_saved_in_shards_alike(place: Path, alone: dict[str, str]) -> None:
    run, found = the_run(place), []
    assert any(is_shard_name(path.name) for path in CheckpointStore(run.checkpoints).find("best").iterdir())
    for size in (1, 2):
        ranks = run_ranks(size, place, "eval", str(run.path), *SETS, "--json")
        assert [code for code, _ in ranks] == [0] * size, ranks
        assert all(output == "" for _, output in ranks[1:])
        text = ranks[0][1]
        content = json.loads(text[text.index("{") :])
        hypotheses = Path(content["path"]).with_suffix(".jsonl")
        found.append(({key: content[key] for key in ("rates", "utterances", "sets")}, hypotheses.read_bytes()))
        hypotheses.unlink()
    assert found[0] == found[1]
    assert found[0][0]["utterances"] == 36
    assert asr_lab.load(run.path).run == run


@pytest.mark.prove
@pytest.mark.parametrize(("kind", "victim"), [("ddp", 1), ("fsdp", 0)])
def test_a_rank_that_is_killed_changes_no_bit(
    kind: str, victim: int, place: Path, write: Write, alone: dict[str, str]
) -> None:
    recipe = str(write(kind))
    ranks = start_ranks(2, place, "run", recipe, "--again")
    run = begun(place, ranks)
    ranks[victim].process.kill()
    codes = [rank.wait() for rank in ranks]
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] == 1
    told = ranks[1 - victim].output.read_text()
    assert f"rank {victim}" in told
    assert "Traceback" not in told
    assert status_of(run).step < 12
    for code, output in run_ranks(2, place, "run", recipe):
        assert code == 0, output
    assert digests(run) == alone


@pytest.mark.prove
def test_a_signal_to_one_rank_has_all_save_and_end(place: Path, write: Write) -> None:
    recipe = str(write("ddp", "max_steps = 12", "max_steps = 4000"))
    ranks = start_ranks(2, place, "run", recipe)
    run = begun(place, ranks)
    os.kill(ranks[1].process.pid, signal.SIGTERM)
    assert [rank.wait() for rank in ranks] == [130, 130]
    status = status_of(run)
    assert (status.phase, status.reason) == ("stopped", "SIGTERM")
    assert (run.checkpoints / f"step-{status.step:08d}").is_dir()


@pytest.mark.prove
def test_a_rank_that_hangs_is_named_within_the_timeout(place: Path, write: Write) -> None:
    recipe = str(write("ddp", "max_steps = 12", "max_steps = 5000", "parts = 2", "parts = 2\ntimeout_s = 5"))
    ranks = start_ranks(2, place, "run", recipe)
    run = begun(place, ranks)
    began = time.monotonic()
    os.kill(ranks[1].process.pid, signal.SIGSTOP)
    assert ranks[0].wait() == 1
    assert time.monotonic() - began < 60
    ranks[1].process.kill()
    error = status_of(run).error
    assert error is not None
    assert "no word from rank 1 (rank 0 waited, parallel.timeout_s = 5)" in error["message"]
    assert re.match(r"step \d+: |saving|transcribing |gathering ", error["message"])


def stopped_early(place: Path, size: int, recipe: str) -> RunDirectory:
    """The run of so many ranks, which a signal to one of them ended after a checkpoint."""
    ranks = start_ranks(size, place, "run", recipe, "--again")
    run = begun(place, ranks)
    os.kill(ranks[-1].process.pid, signal.SIGTERM)
    assert [rank.wait() for rank in ranks] == [130] * size, [rank.output.read_text() for rank in ranks]
    return run


@pytest.mark.prove
@pytest.mark.parametrize(("kind", "sizes"), [("ddp", (1, 2)), ("fsdp", (2, 1))])
def test_another_number_of_ranks_goes_on_with_the_same_bits(
    kind: str, sizes: tuple[int, int], place: Path, write: Write, alone: dict[str, str]
) -> None:
    recipe = str(write(kind))
    run = stopped_early(place, sizes[0], recipe)
    for code, output in run_ranks(sizes[1], place, "run", recipe):
        assert code == 0, output
    assert digests(run) == alone
    record = read_provenance(run)[-1]
    assert record["other_world"].endswith("the same batches, the same draws; the same bits")
    assert record["exact"] == (not record["other_host"])  # each rank may have fewer threads than one process has


@pytest.mark.prove
def test_four_ranks_go_on_as_one_and_as_three(place: Path, write: Write) -> None:
    changed = ("seed = 7", "seed = 8", "parts = 2", "parts = 12\nmax_rank_batch_s = 1")
    [(code, output)] = run_ranks(1, place, "run", str(write("single", *changed)))
    assert code == 0, output
    wanted = [step["loss"] for step in read_metrics(the_run(place).metrics_file)]
    recipe = str(write("fsdp", *changed))
    run = stopped_early(place, 4, recipe)
    stopped = shutil.copytree(run.path, place / "stopped")
    for size in (3, 1):
        shutil.rmtree(run.path)
        shutil.copytree(stopped, run.path)
        for code, output in run_ranks(size, place, "run", recipe):
            assert code == 0, output
        steps = list(read_metrics(run.metrics_file))
        assert [step["step"] for step in steps] == list(range(1, 13))
        assert [step["loss"] for step in steps] == pytest.approx(wanted, rel=1e-4)
        record = read_provenance(run)[-1]
        assert (record["world"]["processes"], record["exact"]) == (size, False)
        assert f"goes on with processes = {size}, parallel = fsdp" in record["other_world"]
        assert record["other_world"].endswith("sums over a step may differ in their last bits")


@pytest.mark.prove
def test_a_piece_that_is_damaged_costs_the_steps_since_the_one_before(
    place: Path, write: Write, alone: dict[str, str]
) -> None:
    recipe = str(write("fsdp"))
    run = stopped_early(place, 2, recipe)
    last = CheckpointStore(run.checkpoints).find("last")
    piece = last / "shard-00001-of-00002.safetensors"
    piece.write_bytes(piece.read_bytes()[:-1])
    (first, said), (other, printed) = run_ranks(2, place, "run", recipe)
    assert (first, other, printed) == (0, 0, ""), said + printed
    assert f"checkpoint passed over, it is damaged: {piece}" in said.replace("\n", "")
    assert digests(run) == alone


@pytest.mark.prove
def test_torchrun_itself_starts_a_run(place: Path, write: Write, alone: dict[str, str]) -> None:
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "cli.main", "run"]
    done = subprocess.run([*words, str(write("ddp")), "--again", "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["step"] == 12
    assert digests(RunDirectory(Path(found["path"]))) == alone
