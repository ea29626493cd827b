"""Four real processes save at once, others read: every bit, whole or not at all, and damage is agreed on."""

from __future__ import annotations

import random
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import saving
import torch
from ranks import Ranks, run_ranks

from asr_lab.errors import CheckpointError
from asr_lab.training import checkpoint
from asr_lab.training.store import CheckpointStore
from asr_lab.training.weights import choose_weights


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder of checkpoints that four processes wrote under FSDP, and the hashes of what they held."""
    folder = tmp_path_factory.mktemp("saved")
    found = run_ranks(4, saving.save, folder / "checkpoints")
    assert all(isinstance(one, dict) for one in found), found
    assert all(one == found[0] for one in found)
    return folder, found[0]


def test_one_process_reads_whole_tensors_bit_for_bit(saved: tuple[Path, dict[str, str]]) -> None:
    folder, held = saved
    newest = CheckpointStore(folder / "checkpoints").newest()
    assert newest is not None
    assert {path.name for path in newest[0].folder.iterdir()} == {
        "state.json", "checksums.json", *(f"shard-0000{rank}-of-00004.safetensors" for rank in range(4))
    }  # fmt: skip
    tensors = newest[1].tensors
    assert saving.hashes(tensors) == held
    assert tensors["optimizer"]["0.weight/step"].item() == 2
    assert tensors["optimizer"]["0.weight/step"].shape == ()
    assert tensors["rng"]["cpu"].tolist() == [0] * 7
    assert newest[1].numbers["progress"] == {"step": 3}
    assert newest[1].numbers["value"] == 0.5


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_any_number_of_processes_goes_on_with_the_same_bits(saved: tuple[Path, dict[str, str]], world: int) -> None:
    folder, held = saved
    for rank, found in enumerate(run_ranks(world, saving.load, folder / "checkpoints")):
        assert isinstance(found, dict), found
        assert found["read"] == held
        assert found["held"] == {name: of for name, of in held.items() if not name.startswith("average/")}
        assert found["rng"] == [rank] * 7
    checkpoint.verify(folder / "checkpoints" / "step-00000003")  # going on from what was read changes no file


def test_copies_of_shards_are_written_once(tmp_path: Path, saved: tuple[Path, dict[str, str]]) -> None:
    found = run_ranks(4, saving.save, tmp_path / "checkpoints", 2)
    newest = CheckpointStore(tmp_path / "checkpoints").newest()
    assert newest is not None
    assert saving.hashes(newest[1].tensors) == found[0] == found[3]
    sizes = [path.stat().st_size for path in newest[0].folder.glob("shard-*")]
    whole = [path.stat().st_size for path in (saved[0] / "checkpoints").glob("step-*/shard-*")]
    assert sum(sizes) < 1.1 * sum(whole)


def test_the_weights_serve_where_any_checkpoints_do(tmp_path: Path) -> None:
    run_ranks(2, saving.save_plain, tmp_path, (1, 2))
    store = CheckpointStore(tmp_path, keep_last=9, keep_best=9)
    assert [one.step for one in store.all()] == [1, 2]
    best = choose_weights(store, "best")
    assert best.folder.name == "step-00000002"
    assert not best.has_averages
    assert best.read()["n"] == 2
    mean = choose_weights(store, "average:2").read()
    assert mean["w"].tolist() == [1.5] * 1000
    assert torch.equal(mean["v"], torch.arange(999))
    assert set(checkpoint.read(best.folder, parts=("model",)).tensors) == {"model"}
    sizes = [path.stat().st_size for path in best.folder.glob("shard-*")]
    assert max(sizes) < 0.8 * sum(sizes)  # each wrote some of what all have


@pytest.mark.parametrize("full", [0, 2])
def test_a_disk_that_is_full_for_one_is_told_by_all_and_nothing_is_lost(tmp_path: Path, full: int) -> None:
    for told in run_ranks(3, saving.save_with_a_full_disk, tmp_path / "checkpoints", full):
        assert told.startswith("CheckpointError")
        assert f"step-00000004 cannot be written: rank {full}: [Errno 28] No space left" in told
        assert "what was saved before it stands" in told
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000003"]
    checkpoint.verify(tmp_path / "checkpoints" / "step-00000003")


DEATHS = (
    (0, "within its file"),
    (1, "within its file"),
    (1, "after its file"),
    (0, "before the list of checksums"),
)
"""A rank, and where in the writing of a checkpoint it is killed."""


def test_a_rank_that_dies_while_all_save_is_named_and_the_former_newest_stands(tmp_path: Path) -> None:
    begun = {
        case: (folder := tmp_path / str(number), Ranks(2, saving.save_and_die, (folder, *case)))
        for number, case in enumerate(DEATHS)
    }
    for (victim, moment), (folder, ranks) in begun.items():
        answers = ranks.answers()
        assert answers[victim] == "killed"
        told = answers[1 - victim]
        assert re.match(r"TrainingError: saving step-00000004: (no word from rank|rank 0 is gone)", told), told
        assert f"rank {victim}" in told
        store = CheckpointStore(folder)
        removed = store.clean()
        assert len(removed) <= 1, (victim, moment)
        newest = store.newest()
        assert newest is not None
        assert (newest[0].step, newest[1].tensors["model"]["w"].tolist()) == (3, list(range(1000)))
        assert {path.name for path in folder.iterdir()} == {"step-00000003"}, (victim, moment)


def check_kills(folder: Path, count: int, seed: int) -> int:
    """Kill four writers at random instants; how many times it was inside a save."""
    draw, inside = random.Random(seed), 0
    checkpoints = folder / "checkpoints"
    for _ in range(count):
        (checkpoints / "reported").unlink(missing_ok=True)
        processes = Ranks(4, saving.save_for_ever, (checkpoints,))
        deadline = time.monotonic() + 60
        while not (checkpoints / "reported").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.2))
        processes.kill()
        reported = int((checkpoints / "reported").read_text() or 0)
        inside += any(path.name.startswith(".") for path in checkpoints.iterdir())
        store = CheckpointStore(checkpoints, keep_last=2)
        store.clean()
        assert not any(path.name.startswith(".") for path in checkpoints.iterdir())
        newest = store.newest()
        assert newest is not None
        number = newest[0].step
        assert number in (reported, reported + 1) or reported == 0
        assert torch.equal(newest[1].tensors["model"]["w"], torch.full((300_000,), float(number)))
        for one in store.all():
            checkpoint.verify(one.folder)
    return inside


def test_a_kill_of_all_writers_leaves_the_former_newest(tmp_path: Path) -> None:
    check_kills(tmp_path, 2, seed=1)


@pytest.mark.prove
def test_many_kills_of_four_writers_leave_a_whole_checkpoint(tmp_path: Path) -> None:
    inside = check_kills(tmp_path, 25, seed=2)
    print(f"25 kills of 4 processes, seed 2, {inside} while a checkpoint was being written")
    assert inside >= 8


def damage(folder: Path, kind: str) -> None:
    """Break a checkpoint of two shards."""
    shard, other = sorted(folder.glob("shard-*"))
    if kind == "missing":
        shard.unlink()
    elif kind == "cut short":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif kind == "a bit":
        data = bytearray(other.read_bytes())
        data[-3] ^= 1
        other.write_bytes(data)
    elif kind == "another's":
        shutil.copy(folder.parent / "step-00000001" / shard.name, shard)
    elif kind == "one too many":
        (folder / "shard-00002-of-00002.safetensors").write_bytes(b"")
    elif kind == "a whole one's file":
        (folder / "model.safetensors").write_bytes(b"")
    elif kind == "no manifest":
        (folder / "checksums.json").unlink()
    else:
        path = folder / "state.json"
        path.write_text(path.read_text().replace('"shards": 2', f'"shards": {kind}'))


KINDS = (
    "missing",
    "cut short",
    "a bit",
    "another's",
    "one too many",
    "no manifest",
    "1",
    "3",
    "0",
    "9e99",
    "99999999",
)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    run_ranks(2, saving.save_plain, folder / "checkpoints", (1, 2))
    return folder / "checkpoints"


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_any_kind_is_told_and_the_next_whole_one_taken(tmp_path: Path, two: Path, kind: str) -> None:
    shutil.copytree(two, tmp_path / "checkpoints")
    store = CheckpointStore(tmp_path / "checkpoints")
    damage(store.folder / "step-00000002", kind)
    with pytest.warns(UserWarning, match=r"passed over, it is damaged: .*step-00000002"):
        newest = store.newest()
    assert newest is not None
    assert newest[0].step == 1
    assert newest[1].tensors["model"]["n"] == 1
    with pytest.warns(UserWarning, match="is taken in its place"):
        assert store.find("best").name == "step-00000001"
    with pytest.raises(CheckpointError, match="step-00000002"):
        checkpoint.verify(store.folder / "step-00000002")


@pytest.mark.parametrize("state", ['1, "shards": 2', "2", '3, "shards": 2', 'null, "shards": 2'])
def test_a_state_of_another_format_is_refused(tmp_path: Path, two: Path, state: str) -> None:
    shutil.copytree(two / "step-00000001", tmp_path / "c")
    path = tmp_path / "c" / "state.json"
    path.write_text(path.read_text().replace('"format": 2,\n "shards": 2', f'"format": {state}'))
    with pytest.raises(CheckpointError, match=r"format|how many shards"):
        checkpoint.read_numbers(tmp_path / "c")


def test_processes_agree_on_what_is_damaged(tmp_path: Path, two: Path) -> None:
    shutil.copytree(two, tmp_path / "checkpoints")
    damage(tmp_path / "checkpoints" / "step-00000002", "a bit")
    found: list[Any] = run_ranks(3, saving.read_damaged, tmp_path / "checkpoints")
    assert [one["step"] for one in found] == [1, 1, 1], found
    assert all("its checksum is not the one that was written" in one["said"][0] for one in found)
