"""The lock: one owner at a time, taken over only from the dead."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

from asr_lab.errors import RunError, RunInUse
from asr_lab.runs.lock import Liveness, Owner, RunLock, last_attempt, process_started

HOLD = """
import sys, time
from pathlib import Path
from asr_lab.runs.lock import RunLock
lock = RunLock.take(Path(sys.argv[1]), beat_s=0.05)
print(lock.attempt, flush=True)
time.sleep(60)
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip()
    return holder


def forge(folder: Path, number: int, owner: Owner, beat: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number:04d}.json").write_text(json.dumps(attrs.asdict(owner)))
    (folder / f"{number:04d}.beat").write_text(str(beat))


def elsewhere() -> Owner:
    return attrs.evolve(Owner.me(), host="another-machine", boot="another-boot", token="theirs")


def test_a_second_taker_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    with (
        RunLock.take(tmp_path / "lock"),
        pytest.raises(RunError, match=f"in use by process {os.getpid()} on .* \\(attempt 1\\)"),
    ):
        RunLock.take(tmp_path / "lock")


def test_each_taking_is_the_next_attempt(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        with RunLock.take(tmp_path) as lock:
            assert lock.attempt == number
    attempt = last_attempt(tmp_path)
    assert attempt is not None
    assert attempt.ended


def test_a_killed_owner_on_this_machine_is_replaced_at_once(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    try:
        with pytest.raises(RunError):
            RunLock.take(tmp_path)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with RunLock.take(tmp_path) as lock:
        assert lock.attempt == 2


def test_a_reused_pid_is_not_the_owner(tmp_path: Path) -> None:
    forge(tmp_path, 1, attrs.evolve(Owner.me(), started=1))
    with RunLock.take(tmp_path) as lock:
        assert lock.attempt == 2


def test_a_corpse_that_was_not_waited_for_is_no_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 20
    while process_started(child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process_started(child.pid) is None
    child.wait()


def test_an_owner_elsewhere_is_replaced_when_its_heartbeat_stands_still(tmp_path: Path) -> None:
    forge(tmp_path, 1, elsewhere())
    waited: list[int] = []
    with RunLock.take(tmp_path, wait_s=10, silence_s=0.3, on_wait=lambda a: waited.append(a.number)) as lock:
        assert lock.attempt == 2
    assert waited == [1]


def test_a_beating_owner_elsewhere_keeps_the_run_whatever_its_clock_says(tmp_path: Path) -> None:
    forge(tmp_path, 1, attrs.evolve(elsewhere(), time=0.0))
    now = 0.0
    liveness = Liveness(tmp_path, silence_s=60, clock=lambda: now)
    for beat in range(2, 8):
        (tmp_path / "0001.beat").write_text(str(beat))
        os.utime(tmp_path / "0001.beat", (0, 0))
        assert liveness.holder() is not None
        now += 59
    now += 61
    assert liveness.holder() is None


def test_the_same_pid_in_another_namespace_proves_nothing(tmp_path: Path) -> None:
    forge(tmp_path, 1, attrs.evolve(Owner.me(), space="pid:[1]", started=1))
    with pytest.raises(RunError):
        RunLock.take(tmp_path)


def test_an_overtaken_owner_learns_it_before_saving(tmp_path: Path) -> None:
    with RunLock.take(tmp_path) as lock:
        lock.check()
        forge(tmp_path, 2, elsewhere())
        with pytest.raises(RunError, match=r"taken over by process .* on another-machine"):
            lock.check()


def take_and_hold(folder: str, gate: object, results: object) -> None:
    gate.wait()  # type: ignore[attr-defined]
    try:
        lock = RunLock.take(Path(folder))
    except RunError:
        results.put(None)  # type: ignore[attr-defined]
    else:
        results.put(lock.attempt)  # type: ignore[attr-defined]
        time.sleep(1.5)


def test_of_many_that_take_over_at_once_one_wins(tmp_path: Path) -> None:
    forge(tmp_path, 1, attrs.evolve(Owner.me(), started=1))
    context = multiprocessing.get_context("fork")
    gate, results = context.Barrier(6), context.Queue()
    takers = [context.Process(target=take_and_hold, args=(str(tmp_path), gate, results)) for _ in range(6)]
    for taker in takers:
        taker.start()
    found = [results.get(timeout=20) for _ in takers]
    for taker in takers:
        taker.join()
    assert sorted(found, key=str) == [2, None, None, None, None, None]


def test_the_heart_beats_while_the_lock_is_held(tmp_path: Path) -> None:
    with RunLock.take(tmp_path, beat_s=0.01):
        before = last_attempt(tmp_path)
        time.sleep(0.2)
        after = last_attempt(tmp_path)
    assert before is not None
    assert after is not None
    assert after.beat > before.beat


def test_an_owner_of_an_earlier_boot_of_this_machine_is_gone(tmp_path: Path) -> None:
    forge(tmp_path, 1, attrs.evolve(Owner.me(), boot="an earlier one"))
    with RunLock.take(tmp_path) as lock:
        assert lock.attempt == 2


@pytest.mark.parametrize("other", [{"host": "another-host"}, {"machine": "another-machine"}])
def test_another_boot_elsewhere_proves_nothing(tmp_path: Path, other: dict[str, str]) -> None:
    forge(tmp_path, 1, attrs.evolve(Owner.me(), boot="another", **other))
    with pytest.raises(RunInUse):
        RunLock.take(tmp_path)


def test_a_copy_of_a_run_that_trains_is_nobodys(tmp_path: Path) -> None:
    with RunLock.take(tmp_path / "lock"):
        shutil.copytree(tmp_path / "lock", tmp_path / "copy", ignore=shutil.ignore_patterns("*.tmp"))
        assert Liveness(tmp_path / "lock").holder() is not None
        assert Liveness(tmp_path / "copy").holder() is None
        with RunLock.take(tmp_path / "copy") as lock:
            assert lock.attempt == 2


def test_a_stopped_process_loses_its_run_when_its_heart_stands_still(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    try:
        holder.send_signal(signal.SIGSTOP)
        with RunLock.take(tmp_path, wait_s=20, silence_s=0.5) as lock:
            assert lock.attempt == 2
    finally:
        holder.kill()
        holder.wait()


def test_what_one_reader_waited_for_the_next_need_not(tmp_path: Path) -> None:
    forge(tmp_path, 1, elsewhere())
    now = 0.0
    first = Liveness(tmp_path, silence_s=60, clock=lambda: now)
    assert first.holder() is not None
    now = 61.0
    assert Liveness(tmp_path, silence_s=60, clock=lambda: now).holder() is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", '{"token": 1}', "[" * 5000, '{"pid": "x", "host": null}', "\xff"],
)
def test_a_damaged_record_of_an_owner_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "0001.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"0001\.json"):
        last_attempt(tmp_path)
