"""The resume proof: a run that is killed again and again ends with the bits of one that never was.

Kills are SIGKILL, found from outside by watching the run's directory: inside the writing of a checkpoint, inside a
validation, and anywhere else, start-up included. A kill counts for what the directory shows after it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import attrs
import numpy as np
import pytest
from resuming import assert_same_bits, finish, new_run, start

from asr_lab.runs.directory import RunDirectory
from asr_lab.runs.events import read_events
from asr_lab.runs.lock import last_attempt
from asr_lab.runs.status import status_of
from asr_lab.training.metrics import read_metrics

Kind = Literal["writing", "validating", "training", "starting"]


@attrs.frozen
class Kill:
    """One SIGKILL: what it was to hit, what it hit, and when."""

    aim: Kind
    hit: Kind
    attempt: int
    seconds: float
    """After the attempt began."""
    step: int

    def __str__(self) -> str:
        return (
            f"attempt {self.attempt:2}  {self.seconds:6.3f} s  step {self.step:4}  in {self.hit} (aimed at {self.aim})"
        )


def writings(run: RunDirectory) -> set[str]:
    """Checkpoints that are being written, or were when their process was killed."""
    try:
        return {e.name for e in os.scandir(run.checkpoints) if e.name.startswith(".writing-step")}
    except FileNotFoundError:
        return set()


def is_validating(run: RunDirectory, attempt: int) -> bool:
    mine = [e for e in read_events(run.events_file) if e.attempt == attempt and e.kind in ("state", "step", "valid")]
    return bool(mine) and mine[-1].data.get("state") == "validating"


def num_steps(run: RunDirectory) -> int:
    return sum(1 for _ in read_metrics(run.metrics_file))


def moments(run: RunDirectory, aim: Kind, attempt: int, rng: np.random.Generator) -> Iterator[bool]:
    """Whether the moment has come, asked again and again."""
    if aim == "starting":
        until = time.monotonic() + rng.uniform(0, 1.0)
        while time.monotonic() < until:
            yield False
    elif aim == "writing":
        old, seen, wanted = writings(run), set[str](), int(rng.integers(1, 4))
        while len(seen) < wanted:
            yield False
            seen |= writings(run) - old
        time.sleep(rng.uniform(0, 0.004))
    elif aim == "validating":
        for _ in range(int(rng.integers(1, 3))):
            while not is_validating(run, attempt):
                yield False
        time.sleep(rng.uniform(0, 0.02))
    else:
        while (last := last_attempt(run.lock)) is None or last.number < attempt:
            yield False
        while status_of(run).attempt < attempt or not (start := num_steps(run)):
            yield False
        wanted = start + int(rng.integers(0, 12))
        while num_steps(run) < wanted:
            yield False
        time.sleep(rng.uniform(0, 0.03))
    yield True


def kill_once(run: RunDirectory, aim: Kind, rng: np.random.Generator) -> Kill | None:
    """Start the job and kill it; None when it was done before the moment came."""
    before = last_attempt(run.lock)
    attempt = before.number + 1 if before else 1
    torn = writings(run)
    process, began = start(run), time.monotonic()
    for has_come in moments(run, aim, attempt, rng):
        if has_come:
            break
        if not process.is_alive():
            assert process.exitcode == 0, (run.path / "output.log").read_text()
            return None
        time.sleep(0.0005)
    process.kill()
    process.join()
    seconds = time.monotonic() - began
    if process.exitcode == 0:
        return None
    hit: Kind = "training"
    if status_of(run).attempt < attempt or status_of(run).phase == "building":
        hit = "starting"
    elif writings(run) - torn:
        hit = "writing"
    elif is_validating(run, attempt):
        hit = "validating"
    return Kill(aim, hit, attempt, seconds, status_of(run).step)


def kill_often(run: RunDirectory, seed: int, wanted: dict[Kind, int]) -> list[Kill]:
    """Kill the run's job until each kind of moment was hit often enough; aims are drawn from the seed."""
    rng = np.random.default_rng(seed)
    kills: list[Kill] = []
    print(f"\nseed {seed}, wanted {wanted}")
    while missing := [k for k, n in wanted.items() for _ in range(n - sum(kill.hit == k for kill in kills))]:
        kill = kill_once(run, missing[rng.integers(len(missing))], rng)
        assert kill is not None, f"the run ended after {len(kills)} kills; still wanted: {missing}"
        kills.append(kill)
        print(kill, flush=True)
    return kills


def test_three_kills_change_no_bit(recipe: Callable[..., Path]) -> None:
    path = recipe("max_steps = 12", "max_steps = 40")
    whole, killed = new_run(path), new_run(path, again=True)
    finish(whole)
    kill_often(killed, seed=20, wanted={"writing": 1, "validating": 1, "training": 1})
    finish(killed)
    assert_same_bits(killed, whole)


DIGITS = (
    ("num_workers = 0", "num_workers = 2"),
    ('train = [{ name = "tones", type = "folder", path = "tones", where = { split = "train" } }]',
     'train = [{ type = "folder", path = "fsdd", where = { split = "train", id = "!*_4?" }, join = {} }]'),
    ('valid = [{ name = "tones", type = "folder", path = "tones", where = { split = "valid" } }]',
     'valid = [{ type = "folder", path = "fsdd", where = { split = "train", id = "*_4?" } }]'),
    ('test = [{ name = "tones", type = "folder", path = "tones", where = { split = "test" } }]',
     'test = [{ type = "folder", path = "fsdd", where = { split = "test" } }]'),
    ("dim = 16", "dim = 64\ndropout = 0.2"),
    ('blocks = ["conf"]', 'repeat = 2, blocks = ["conf"]'),
    ("max_steps = 12", "max_steps = 220\nsave_every_steps = 4"),
    ("batch_s = 6", "batch_s = 40"),
    ("valid_every_steps = 4", "valid_every_steps = 11"),
    ("max_rank_batch_s = 3", "max_rank_batch_s = 12"),
)  # fmt: skip


@pytest.mark.prove
def test_twenty_kills_on_real_speech_change_no_bit(
    recipe: Callable[..., Path], speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASRLAB_DATA", str(speech))
    path = recipe(*(text for pair in DIGITS for text in pair))
    whole, killed = new_run(path), new_run(path, again=True)
    began = time.monotonic()
    finish(whole)
    seconds = time.monotonic() - began
    print(f"\nuninterrupted: {status_of(whole).step} steps in {seconds:.1f} s")
    kills = kill_often(killed, seed=1337, wanted={"writing": 7, "validating": 4, "training": 7, "starting": 2})
    finish(killed)
    assert len(kills) >= 20
    assert_same_bits(killed, whole)
