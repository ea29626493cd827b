"""Checkpoints: whole or not at all, damage is seen, the last few and the best stay."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_lab.errors import CheckpointError
from asr_lab.training import checkpoint
from asr_lab.training.rank import Rank
from asr_lab.training.state import Snapshot
from asr_lab.training.store import CheckpointStore

FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "checksums.json")


def snapshot(step: int, size: int = 1000) -> Snapshot:
    tensors = {"w": torch.full((size,), float(step)), "none": torch.zeros(0, 3), "one": torch.tensor(step)}
    return Snapshot({"model": tensors, "optimizer": {"w/m": torch.arange(size)}}, {"progress": {"step": step}})


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    tied = torch.randn(4, 6)
    tensors = {"plain": torch.randn(3, 2), "turned": tied.mT, "half": tied.bfloat16(), "flag": torch.tensor([True])}
    checkpoint.write(tmp_path / "c", Snapshot({"model": tensors, "rng": {}}, {"seed": 3, "x": 0.1 + 0.2}))
    read = checkpoint.read(tmp_path / "c")
    assert read.numbers == {"seed": 3, "x": 0.1 + 0.2}
    assert set(read.tensors) == {"model"}
    for name, tensor in tensors.items():
        assert read.tensors["model"][name].dtype == tensor.dtype
        assert torch.equal(read.tensors["model"][name], tensor)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flip", "truncate", "grow", "remove", "empty"])
def test_damage_to_any_file_is_seen(tmp_path: Path, name: str, damage: str) -> None:
    store = CheckpointStore(tmp_path)
    store.save(snapshot(1))
    store.save(snapshot(2))
    path = tmp_path / "step-00000002" / name
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 0x10
    elif damage == "truncate":
        del data[-1:]
    elif damage == "grow":
        data += b"\0"
    elif damage == "empty":
        data.clear()
    path.unlink() if damage == "remove" else path.write_bytes(data)
    with pytest.warns(UserWarning, match="step-00000002.*|passed over"):
        found = store.newest()
    assert found is not None
    assert found[0].step == 1
    assert found[1].tensors["model"]["w"][0] == 1.0
    with pytest.raises(CheckpointError, match=r"step-00000002|no checkpoint '2'"):
        checkpoint.read(store.find("2"))


@pytest.mark.parametrize("name", ["checksums.json", "state.json"])
def test_no_flipped_bit_in_the_json_gets_past_or_causes_another_error(tmp_path: Path, name: str) -> None:
    store = CheckpointStore(tmp_path)
    folder = store.save(snapshot(1, size=3), rank=Rank(0.5)).folder
    data = (folder / name).read_bytes()
    for place in range(len(data)):
        (folder / name).write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        store.best()
        try:
            read = checkpoint.read(folder)
        except CheckpointError:
            continue
        assert name == "checksums.json"  # white space there, or a file it no longer lists in vain
        assert read.numbers["value"] == 0.5


def test_a_file_that_was_smuggled_in_is_seen(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "c", snapshot(1))
    (tmp_path / "c" / "average.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="was not written with this checkpoint"):
        checkpoint.read(tmp_path / "c")


def test_a_checkpoint_that_lists_other_files_is_refused(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "c", snapshot(1))
    sums = json.loads((tmp_path / "c" / "checksums.json").read_text())
    (tmp_path / "c" / "checksums.json").write_text(json.dumps(sums | {"../../x": {"bytes": 0, "sha256": ""}}))
    with pytest.raises(CheckpointError, match="does not list a checkpoint's files"):
        checkpoint.read(tmp_path / "c")


def test_the_last_few_and_the_best_stay(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=2)
    for step, value in enumerate([0.9, 0.4, 0.5, 0.4, None, 0.8], start=1):
        store.save(snapshot(step), rank=None if value is None else Rank(value, 0.2))
    assert [s.step for s in store.all()] == [4, 5, 6]
    assert store.find("best").name == "step-00000004"
    assert store.find("last").name == "step-00000006"
    assert store.find("step-00000005") == store.find("5")
    best = json.loads((tmp_path / "best.json").read_text())
    assert best == {"step": 4, "value": 0.4, "ties": [0.2, None], "folder": "step-00000004"}
    with pytest.raises(CheckpointError, match=r"no checkpoint '3' \(have: step-00000004, "):
        store.find("3")
    assert store.drop_after(5) == ["step-00000006"]


@pytest.mark.filterwarnings("ignore:.*is taken in its place")
def test_equals_are_ranked_by_characters_then_loss_and_the_later_wins(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep_last=9)
    ranks = [(1.0, 0.9, 3.0), (1.0, 0.9, 2.0), (1.0, 0.9, 2.0), (1.0, 0.9, 2.5), (1.0, 0.95, 1.0), (0.9, 0.9, 9.0)]
    for step, figures in enumerate(ranks, start=1):
        store.save(snapshot(step), rank=Rank(*figures))
        best = store.best()
        assert best is not None
        assert best.step == [1, 2, 3, 3, 3, 6][step - 1]
    store.save(snapshot(7), rank=None)
    for expected in (6, 3, 2, 4, 1, 5, 7):
        whole = store.find("best")
        assert whole.name == f"step-{expected:08d}"
        with (whole / checkpoint.STATE).open("a") as stream:
            stream.write(" ")


def test_a_checkpoint_from_before_ties_were_kept_is_ranked_by_its_value(tmp_path: Path) -> None:
    assert Rank.of(0.5) == Rank.of(0.5, None) == Rank.of(0.5, [None, "x"]) == Rank(0.5)
    assert Rank(0.5, 0.3, 1.0) < Rank.of(0.5) < Rank(0.6, 0.1, 0.1)


def test_the_job_gets_its_own_state_back(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(snapshot(3), rank=Rank(0.5), job={"waited": 2})
    found = store.newest()
    assert found is not None
    assert found[1].numbers["job"] == {"waited": 2}
    with pytest.raises(ValueError, match="finite"):
        store.save(snapshot(4), rank=Rank(float("nan")))


def test_a_store_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "none")
    assert store.newest() is None
    assert store.best() is None
    assert store.clean() == []
    with pytest.raises(CheckpointError, match="no checkpoint 'last'"):
        store.find("last")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    broken = Snapshot({"model": {"w": torch.zeros(2)}}, {"progress": {"step": 1}, "x": object()})
    with pytest.raises(TypeError):
        checkpoint.write(tmp_path / "c", broken)
    assert list(tmp_path.iterdir()) == []


def _score(step: int) -> float:
    return abs(step % 17 - 5) / 10 + step / 1e6


def _write_for_ever(folder: Path, reported: int) -> None:
    store = CheckpointStore(folder, keep_last=2)
    store.clean()
    found = store.newest()
    step = found[0].step if found else 0
    os.write(reported, f"{step}\n".encode())
    while True:
        step += 1
        tensors = {"w": torch.full((200_000,), float(step))}
        snapshot = Snapshot({"model": tensors, "average": tensors}, {"progress": {"step": step}})
        store.save(snapshot, rank=Rank(_score(step)))
        os.write(reported, f"{step}\n".encode())


def _kill_a_writer(folder: Path, draw: random.Random) -> tuple[int, list[str]]:
    """Kill a writer at a random instant: the last step it reported as saved, and what stood in the folder."""
    reader, writer = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=_write_for_ever, args=(folder, writer))
    process.start()
    os.close(writer)
    reported = os.read(reader, 100)
    time.sleep(draw.uniform(0.0, 0.15))
    process.kill()
    process.join()
    while more := os.read(reader, 10_000):
        reported += more
    os.close(reader)
    return int(reported.split()[-1]), sorted(p.name for p in folder.iterdir())


def check_kills(folder: Path, count: int, seed: int) -> int:
    draw, inside = random.Random(seed), 0
    for _ in range(count):
        reported, names = _kill_a_writer(folder, draw)
        inside += any(name.startswith(".") for name in names)
        store = CheckpointStore(folder, keep_last=2)
        store.clean()
        assert not any(p.name.startswith(".") for p in folder.iterdir())
        found = store.newest()
        assert found is not None or reported == 0
        if found is not None:
            saved, whole = found
            assert saved.step in (reported, reported + 1)
            assert torch.equal(whole.tensors["model"]["w"], torch.full((200_000,), float(saved.step)))
            for other in store.all():
                checkpoint.verify(other.folder)
            best = store.best()
            assert best is not None
            assert json.loads((folder / "best.json").read_text())["step"] == best.step
            assert best.step == min(range(saved.step, 0, -1), key=_score)
    return inside


def test_a_kill_at_any_instant_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    check_kills(tmp_path / "checkpoints", 3, seed=1)


@pytest.mark.prove
def test_many_kills_inside_writing_leave_a_whole_checkpoint(tmp_path: Path) -> None:
    inside = check_kills(tmp_path / "checkpoints", 40, seed=2)
    print(f"40 kills, seed 2, {inside} while a checkpoint was being written")
    assert inside >= 10


class Stopped(BaseException):
    """The process ends here."""


class Countdown:
    """Lets a number of system calls through and stops at the next."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def watch(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if self.left == 0:
                raise Stopped
            self.left -= 1
            return real(*args)

        return call


def test_every_step_of_a_write_may_be_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for calls in range(100):
        store = CheckpointStore(tmp_path / str(calls), keep_last=1)
        store.save(snapshot(1), rank=Rank(0.5))
        countdown, finished = Countdown(calls), False
        with monkeypatch.context() as patch:
            for name in ("rename", "replace", "fsync"):
                patch.setattr(os, name, countdown.watch(getattr(os, name)))
            # A killed process does not tidy up.
            patch.setattr("asr_lab.training.checkpoint.shutil.rmtree", lambda *_, **__: None)
            patch.setattr(Path, "unlink", lambda *_, **__: None)
            with contextlib.suppress(Stopped):
                store.save(snapshot(2), rank=Rank(0.4))
                finished = True
        store.clean()
        assert not [p.name for p in store.folder.iterdir() if p.name.startswith(".")]
        found = store.newest()
        assert found is not None
        for saved in store.all():
            checkpoint.verify(saved.folder)
        assert json.loads((store.folder / "best.json").read_text())["step"] == store.all()[-1].step
        if finished:
            assert found[0].step == 2
            assert calls > 8
            return
    raise AssertionError("the write never ended")


@pytest.mark.parametrize("odd", [10**400, True, "1", [], None, float("nan")])
def test_a_rank_of_odd_numbers_is_the_worst_or_none(tmp_path: Path, odd: Any) -> None:
    store = CheckpointStore(tmp_path)
    store.save(snapshot(1), rank=Rank(0.5, 0.2, 1.0))
    state = store.all()[0].folder / "state.json"
    numbers = json.loads(state.read_text())
    state.write_text(json.dumps({**numbers, "ties": [odd, odd]}))
    assert [saved.rank for saved in store.all()] == [Rank(0.5)]
    if odd == 10**400:
        state.write_text(json.dumps({**numbers, "value": odd}))
        assert [saved.rank for saved in store.all()] == [None]
